"""The report page: one self-contained file."""
