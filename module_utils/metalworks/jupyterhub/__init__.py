"""The hub: its REST API, password hashes, user names and sizes. Runs on the operator's computer."""
