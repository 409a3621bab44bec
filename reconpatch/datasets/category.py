"""A category: one product of a data set, with its training and test images, labels and masks."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from reconpatch.utils.errors import InputError
from reconpatch.utils.files import hash_of, read_json
from reconpatch.utils.record import SEAL, read_record, write_sealed

GOOD = "good"
"""The defect name of a normal image, as in the MVTec AD layout."""

NORMAL = (GOOD, "ok")
"""Names of the folders of normal images in MVTec AD's layout; BTAD uses ``ok``."""

Kind = Literal["object", "texture"]


@dataclass(frozen=True)
class Sample:
    """One image with its label.

    Attributes:
        image: The image file.
        defect: The kind of defect, or ``"good"`` for a normal image.
        mask: An image of the same size whose pixels above 0 are defective; None for a normal
            image, or if there are no masks.
    """

    image: Path
    defect: str
    mask: Path | None

    @property
    def anomalous(self) -> bool:
        """Whether the image shows a defect."""
        return self.defect != GOOD


@dataclass(frozen=True)
class Category:
    """An inspected category; :func:`inspect_category` makes one.

    Attributes:
        kind: Object or texture, where the data set says so.
        train: The training images, all normal.
        test: The test images, normal and anomalous.
        sha256: The hash of all images, labels and masks; it does not depend on their folder.
        hashes: The SHA-256 of each image and mask, by its path.
    """

    dataset: str
    name: str
    kind: Kind | None
    train: tuple[Sample, ...]
    test: tuple[Sample, ...]
    sha256: str
    hashes: dict[str, str] = field(default_factory=dict)

    @property
    def has_masks(self) -> bool:
        """Whether there are anomalous test images and each of them has a mask."""
        anomalous = [sample for sample in self.test if sample.anomalous]
        return bool(anomalous) and all(sample.mask is not None for sample in anomalous)

    def check_unchanged(self) -> None:
        """Check that the images and masks are those that were listed.

        Raises:
            InputError: One was changed or is gone since.
        """
        for name, sha256 in self.hashes.items():
            path = Path(name)
            if not path.is_file() or hash_of(path) != sha256:
                what = "changed" if path.is_file() else "removed"
                raise InputError(
                    f"{path} was {what} after the images were listed; run the same command again: "
                    "they are listed anew."
                )

    def write(self, path: Path) -> None:
        """Write the category to ``path`` as JSON: paths and labels, not the images themselves."""
        write_sealed(path, TypeAdapter(Category).dump_python(self, mode="json"))

    @classmethod
    def read(cls, path: Path) -> "Category":
        """Return the category that :meth:`write` wrote to ``path``.

        Raises:
            InputError: The file holds something else, or was changed since.
        """
        try:
            listed = read_json(path)
            # One that somebody wrote has no seal.
            if isinstance(listed, dict) and SEAL in listed:
                listed = read_record(path)
            return TypeAdapter(Category).validate_python(listed)
        except ValueError:
            raise InputError(
                f"{path} does not list a category's images; write it anew with reconpatch inspect"
            ) from None
