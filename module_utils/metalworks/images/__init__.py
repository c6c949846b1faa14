"""Container images: built once, kept as blobs, pushed to a registry. Runs on the operator's computer."""
