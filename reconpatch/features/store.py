"""Patch features on disk: computed once for a category, shared by every run that reads them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from reconpatch.datasets.category import Category
from reconpatch.features.backbones import Backbone
from reconpatch.features.layer_maps import LayerMaps
from reconpatch.features.pretrained import load_backbone
from reconpatch.settings.features import ExtractionSettings
from reconpatch.utils.errors import InputError
from reconpatch.utils.record import read_record, whole

Split = Literal["train", "test"]
Patches = npt.NDArray[np.float32 | np.float16]


@dataclass(frozen=True)
class FeatureStore:
    """The folder that ``extract`` fills: a NumPy file a split, the test masks, and their record.

    What is read must be as it was written, or ``DamagedError`` says what to delete.
    """

    folder: Path

    def patches(self, split: Split) -> Patches:
        """Return the memory-mapped patch features ``(N, h, w, D)`` of a split, as stored."""
        array: Patches = np.load(self._whole(f"{split}.npy"), mmap_mode="c")
        return array

    def read(self, split: Split) -> Any:
        """Return a split's ``Patches``, or its ``LayerMaps`` if these are what is stored."""
        shapes = self.record["layer_shapes"]
        return LayerMaps(self.patches(split), shapes) if shapes else self.patches(split)

    def masks(self) -> npt.NDArray[np.bool_]:
        """Return the memory-mapped test masks ``(N, S, S)``; all False without masks."""
        array: npt.NDArray[np.bool_] = np.load(self._whole("masks.npy"), mmap_mode="c")
        return array

    @property
    def category(self) -> Category:
        """The category whose images these are, in the rows' order."""
        return Category.read(self.folder / "category.json")

    @property
    def record(self) -> dict[str, Any]:
        """How the features were made: settings, weights, data hash, seconds, machine."""
        return read_record(self._record)

    @property
    def _record(self) -> Path:
        return self.folder / "features.json"

    def _whole(self, name: str) -> Path:
        return whole(self._record, name)

    def backbone(self, weights_folder: Path, device: torch.device) -> Backbone:
        """Load the backbone that these are features of.

        Raises:
            InputError: its weights are not to be had, or are not those that made the features.
        """
        record = self.record
        made_by = ExtractionSettings.model_validate(record["settings"]).features
        backbone = load_backbone(made_by.backbone, made_by.layers, weights_folder, device)
        found, expected = backbone.weights, record["weights"]
        if found.sha256 != expected["sha256"]:
            raise InputError(
                f"The weights of {made_by.backbone} from {found.source} have the SHA-256 "
                f"{found.sha256}, but the features in {self.folder} were made with "
                f"{expected['sha256']}, from {expected['source']}. Put those weights back, or "
                f"delete {self.folder}, and its features and runs are made anew."
            )
        return backbone
