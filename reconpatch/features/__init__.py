"""From images to patch features (Section 3.1)."""
