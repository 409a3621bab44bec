"""Which images exist, where they come from, and whether they are whole."""

from reconpatch.datasets.category import GOOD, Category, Kind, Sample
from reconpatch.datasets.demo import write_demo
from reconpatch.datasets.elpv import read_elpv
from reconpatch.datasets.images import open_image, open_mask
from reconpatch.datasets.inspection import inspect_category
from reconpatch.datasets.mvtec_layout import find_categories, read_mvtec_layout
from reconpatch.datasets.published import PublishedCategory, published_category
from reconpatch.datasets.source import Source, kind_in, load_category, published_in

__all__ = [
    "GOOD",
    "Category",
    "Kind",
    "PublishedCategory",
    "Sample",
    "Source",
    "find_categories",
    "inspect_category",
    "kind_in",
    "load_category",
    "open_image",
    "open_mask",
    "published_category",
    "published_in",
    "read_elpv",
    "read_mvtec_layout",
    "write_demo",
]
