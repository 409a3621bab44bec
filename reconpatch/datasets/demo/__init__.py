"""A procedural data set, small enough for a laptop and free of any licence."""

from reconpatch.datasets.demo.pictures import SIZE, render
from reconpatch.datasets.demo.writer import CATEGORIES, write_demo

__all__ = ["CATEGORIES", "SIZE", "render", "write_demo"]
