"""What is known of a published category without its images: its kind and its counts."""

from typing import NamedTuple

from reconpatch.datasets.category import NORMAL, Kind
from reconpatch.fetching.catalogue import known_datasets


class PublishedCategory(NamedTuple):
    """A published category's kind, None where the data set does not say, and numbers of images."""

    kind: Kind | None
    train: int
    test_good: int
    test_defective: int


def published_category(dataset: str, name: str) -> PublishedCategory | None:
    """Return the category ``name`` of a known data set; None if there is no such category.

    Example:
        >>> published_category("mvtec", "bottle")
        PublishedCategory(kind='object', train=209, test_good=20, test_defective=63)
        >>> published_category("mvtec", "bottles")
    """
    known = known_datasets().get(dataset)
    files = {f.folder: f.files for f in known.folders if f.category == name} if known else {}
    train = sum(files.get(f"train/{normal}", 0) for normal in NORMAL)
    if not known or not train:
        return None
    test = sum(count for folder, count in files.items() if folder.startswith("test/"))
    good = sum(files.get(f"test/{normal}", 0) for normal in NORMAL)
    kind: Kind | None = None
    if known.textures is not None:
        kind = "texture" if name in known.textures else "object"
    return PublishedCategory(kind, train, good, test - good)
