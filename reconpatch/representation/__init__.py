"""The trained representation: f, g, their averages, similarities, loss (Eqs. 1-8)."""
