"""Models as they are kept and served: their files, their registry, and what each kind answers."""
