"""Machines of AWS: what is to be made of what is there. Runs on the operator's computer."""
