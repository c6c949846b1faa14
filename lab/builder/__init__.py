"""Build what the lab cannot download. recipes.py connects the recipes to artifacts.yml."""
