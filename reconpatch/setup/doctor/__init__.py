"""Check on one screen whether this machine has what a suite needs, and say how to get the rest."""
