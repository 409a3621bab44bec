"""Data sets and weights that arrive whole: from mirrors, from a local archive, or as they lie.

The room stands beside the others: what it brings is known by its hash, so that no result depends on
its code.
"""
