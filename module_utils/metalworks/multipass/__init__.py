"""multipass: its command line, its answers, cloud-init. Runs on the operator's computer."""
