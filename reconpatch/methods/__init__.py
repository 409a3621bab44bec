"""The methods that the suite measures: one file each, and their registry."""
