"""What modules and rules of MLflow share."""
