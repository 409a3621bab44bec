"""A drawn data set: small, and free of any licence."""
