"""Data sets and weights: downloaded from mirrors, unpacked from a local archive, or used in place.

Every other room may import this one. It checks what it delivers by hash, so that no result depends
on its code.
"""
