"""Speed of the package beside others' code for the same work: ``make bench``.

Nothing here is installed with the package. Peers outside its requirements are imported where they
are used, so that everything else runs without them.
"""
