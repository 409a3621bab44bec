"""Patch features on disk: computed once for a category, shared by every run that reads them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from reconpatch.datasets.category import Category
from reconpatch.features.layer_maps import LayerMaps
from reconpatch.utils.files import read_json

Split = Literal["train", "test"]
Patches = npt.NDArray[np.float32 | np.float16]


@dataclass(frozen=True)
class FeatureStore:
    """The folder that ``extract`` fills: a NumPy file a split, the test masks, and their record."""

    folder: Path

    def patches(self, split: Split) -> Patches:
        """Return the memory-mapped patch features ``(N, h, w, D)`` of a split, as stored."""
        array: Patches = np.load(self.folder / f"{split}.npy", mmap_mode="c")
        return array

    def read(self, split: Split) -> Any:
        """Return a split's ``Patches``, or its ``LayerMaps`` if these are what is stored."""
        shapes = self.record["layer_shapes"]
        return LayerMaps(self.patches(split), shapes) if shapes else self.patches(split)

    def masks(self) -> npt.NDArray[np.bool_]:
        """Return the memory-mapped test masks ``(N, crop, crop)``; all False without masks."""
        array: npt.NDArray[np.bool_] = np.load(self.folder / "masks.npy", mmap_mode="c")
        return array

    @property
    def category(self) -> Category:
        """The category whose images these are, in the rows' order."""
        return Category.read(self.folder / "category.json")

    @property
    def record(self) -> dict[str, Any]:
        """How the features were made: settings, weights, data hash, seconds, machine."""
        record: dict[str, Any] = read_json(self.folder / "features.json")
        return record
