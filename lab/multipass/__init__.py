"""A stand-in for multipass, whose machines are the lab's."""
