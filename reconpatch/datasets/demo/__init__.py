"""A procedural data set, small enough for a laptop and free of any licence."""

from reconpatch.datasets.demo.categories import CATEGORIES
from reconpatch.datasets.demo.pictures import SIZE, render
from reconpatch.datasets.demo.writer import write_demo

__all__ = ["CATEGORIES", "SIZE", "render", "write_demo"]
