"""The source of a data set, as a suite names it."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from reconpatch.datasets.category import Category, Kind
from reconpatch.datasets.demo.categories import CATEGORIES
from reconpatch.datasets.published import PublishedCategory, published_category
from reconpatch.settings.base import FolderName, Settings
from reconpatch.utils.errors import InputError
from reconpatch.utils.fingerprint import code_fingerprint

READERS = {
    "mvtec": "reconpatch.datasets.mvtec_layout",
    "elpv": "reconpatch.datasets.elpv",
    "demo": "reconpatch.datasets.mvtec_layout",
}
"""The module whose ``read(source, name)`` lists a category's images, by layout.

By name, and imported when it is used, so that an edit of one makes no other's lists stale.
"""


class Source(Settings):
    """A data set and where its images are.

    Attributes:
        layout: Where the images are: in MVTec AD's folders, in the package ``elpv-dataset``, or
            where ``write_demo`` wrote them.
        dataset: The data set's name in tables and figures.
        root: The folder that holds the categories; not for ELPV, whose package is found by itself.
        split_seed: ELPV only, as what follows: the seed of the split.
        train: How many training images to keep, or None for all.
        test_per_class: How many normal, and how many anomalous, test images to keep, or None for
            all.
    """

    layout: Literal["mvtec", "elpv", "demo"]
    dataset: FolderName
    root: Path | None = None
    split_seed: int = Field(default=0, ge=0)
    train: int | None = Field(default=None, ge=1)
    test_per_class: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _check_fit(self) -> Self:
        if self.layout == "elpv":
            if self.root is not None:
                raise ValueError(
                    "layout elpv has no root: its images come with the package elpv-dataset; "
                    "leave root out"
                )
            return self
        if self.root is None:
            raise ValueError(
                f"layout {self.layout} needs a root: the folder that holds the categories"
            )
        try:
            self.root.is_dir()
        except (OSError, ValueError) as error:
            raise ValueError(f"root cannot be a folder: {error}") from None
        if (self.split_seed, self.train, self.test_per_class) != (0, None, None):
            raise ValueError(
                f"layout {self.layout} has its own split; leave out split_seed, train and "
                "test_per_class, which are for layout elpv"
            )
        return self


def published_in(source: Source, name: str) -> PublishedCategory | None:
    """Return what is published of a category; None where nothing is."""
    if source.layout == "demo":
        return CATEGORIES[name].published if name in CATEGORIES else None
    return published_category(source.dataset, name) if source.layout == "mvtec" else None


def kind_in(source: Source, name: str) -> Kind | None:
    """Return whether a category is an object or a texture, None where that is not known."""
    category = published_in(source, name)
    return category.kind if category else None


def load_category(source: Source, name: str) -> Category:
    """Return the category ``name`` of the data set, inspected.

    Raises:
        InputError: There is no such category, or it is not whole.
    """
    if source.layout == "demo" and name not in CATEGORIES:
        raise InputError(f"The demo has no category {name}; it has {' and '.join(CATEGORIES)}")
    category: Category = import_module(READERS[source.layout]).read(source, name)
    return replace(category, kind=kind_in(source, name))


def reader_code(source: Source) -> str:
    """Return the fingerprint of the code that lists the images of this source's layout alone."""
    return code_fingerprint(READERS[source.layout])
