"""Methods for somebody's own images: estimators, and what the commands for them write."""
