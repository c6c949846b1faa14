"""What the platform adds to the MLflow server: identity, rights and metrics."""
