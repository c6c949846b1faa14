"""The cluster's API, kubeconfigs, rollouts. Runs on the operator's computer."""
