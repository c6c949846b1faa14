"""Helpers of all subjects: addresses, files, names, programs, suggestions. Runs on nodes, too."""
