"""The tests of the model; they need its interpreter (see ../README.md)."""
