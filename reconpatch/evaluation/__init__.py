"""What a run's scores are worth: AUROC, its intervals, d' (Eq. 12), diagnostics."""
