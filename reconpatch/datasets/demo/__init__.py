"""A procedural data set, small enough for a laptop and free of any licence."""
