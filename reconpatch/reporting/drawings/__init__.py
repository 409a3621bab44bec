"""The paper's figures: one module each, whose ``draw`` turns arrays and tables into a Figure."""
