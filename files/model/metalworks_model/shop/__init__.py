"""The application in front of the model: a small shop where a visitor plays a customer."""
