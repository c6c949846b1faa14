"""The part logging: its sizes, its logins, and searches in its store."""
