"""What k3s promises, asked of the stand-in; lab/k3s/CONTRACT.md lists it."""
