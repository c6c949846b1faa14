"""A machine as a node: checks, settings, images. Runs on nodes."""
