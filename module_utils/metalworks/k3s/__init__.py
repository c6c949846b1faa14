"""k3s: its settings, units, registries and versions, and why it does not start. Runs on nodes, too."""
