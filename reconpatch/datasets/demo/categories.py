"""The demo set's categories, apart from how they are drawn."""

from reconpatch.datasets.category import Kind

CATEGORIES: dict[str, Kind] = {"washer": "object", "weave": "texture"}
