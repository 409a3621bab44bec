"""Small made-up layer maps, for the methods that read them."""

from collections.abc import Sequence

import numpy as np
import torch

from reconpatch.features.layer_maps import LayerMaps, Shape, pack

SHAPES = ((3, 4, 6), (4, 2, 3), (5, 1, 2))


def made_up(images: int, seed: int, shapes: Sequence[Shape] = SHAPES) -> LayerMaps:
    """Normal numbers as maps of these shapes ``(C, h, w)``, finest first."""
    rng = np.random.default_rng(seed)
    maps = [torch.from_numpy(rng.normal(size=(images, *shape))).float() for shape in shapes]
    return LayerMaps(pack(maps), shapes)
