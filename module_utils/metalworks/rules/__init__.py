"""The rules that judge an inventory, one file for each area. Runs on the operator's computer."""
