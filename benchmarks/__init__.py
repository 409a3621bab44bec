"""How fast the package is, beside others' code for the same work: ``make bench``.

Nothing here is installed with the package. Peers that are not among its requirements are imported
where they are used, so that everything else runs without them.
"""
