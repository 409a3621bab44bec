"""Which images exist, where they come from, and whether they are whole."""
