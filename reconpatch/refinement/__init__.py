"""A network that refines anomaly maps, trained on simulated defects (Appendix D)."""
