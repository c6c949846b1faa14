"""What the modules, filters and rules of the model share."""
