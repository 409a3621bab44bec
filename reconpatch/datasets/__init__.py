"""Data sets: which images they have, where the files are, and whether the files are whole."""
