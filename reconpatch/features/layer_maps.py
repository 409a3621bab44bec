"""Layers' maps before aggregation, side by side in one array (for methods that read them)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from reconpatch.features.aggregation import patch_features
from reconpatch.settings.recipe import Recipe

Shape = tuple[int, int, int]


def pack(maps: Sequence[Tensor]) -> Tensor:
    """Return ``(B, T)`` of maps ``(B, C, h, w)``: an image's maps one after the other, flat."""
    return torch.cat([each.flatten(1) for each in maps], dim=1)


def as_read(maps: list[Tensor], recipe: Recipe) -> Any:
    """Return the patch features of a backbone's maps, or their ``LayerMaps``: ``Recipe.reads``."""
    if recipe.reads == "layer maps":
        return LayerMaps(pack(maps), [(m.shape[1], m.shape[2], m.shape[3]) for m in maps])
    return patch_features(maps, recipe.features)


class LayerMaps:
    """The layer maps of N images, finest first, as views of a packed array.

    Attributes:
        packed: what ``pack`` made of them, ``(N, T)``.
        shapes: ``(C, h, w)`` of each.
        shape: ``(N, h, w)`` of the finest.
    """

    def __init__(self, packed: npt.NDArray[np.floating] | Tensor, shapes: Sequence[Shape]) -> None:
        """Take what ``pack`` made of maps of these shapes ``(C, h, w)``."""
        self.packed = packed
        self.shapes = shapes
        self.shape = (len(packed), *shapes[0][1:])

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, images: slice) -> "LayerMaps":
        """Return the maps of some images."""
        return LayerMaps(self.packed[images], self.shapes)

    def layers(self) -> list[Tensor]:
        """Return a tensor ``(N, C, h, w)`` a layer; of a file it is read as it is used."""
        packed = torch.as_tensor(self.packed)
        parts = packed.split([c * h * w for c, h, w in self.shapes], dim=1)
        return [p.unflatten(1, shape) for p, shape in zip(parts, self.shapes, strict=True)]


def taken(patches: Any, images: npt.NDArray[np.intp]) -> Any:
    """Return the patch features or layer maps of some images, copied."""
    if isinstance(patches, LayerMaps):
        return LayerMaps(patches.packed[images], patches.shapes)
    return patches[images]
