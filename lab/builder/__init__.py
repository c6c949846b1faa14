"""Makes what the lab cannot download: one file per concern, wired together in recipes.py."""
