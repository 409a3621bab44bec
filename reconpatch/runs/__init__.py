"""Runs on disk: what each step leaves, and what of it is current."""
