"""From features to scores and anomaly maps (Eqs. 9-11)."""
