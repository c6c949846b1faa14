"""Artifacts: the catalogue, the cache, downloads and their verification. Runs on the operator's computer."""
