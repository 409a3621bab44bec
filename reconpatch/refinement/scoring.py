"""Scores of simulated images, each by a method without its own image."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from reconpatch.features.backbones import Backbone
from reconpatch.features.layer_maps import as_read
from reconpatch.methods.method import Method

IMAGES = 16
"""About how many images go through the backbone at a time."""


@torch.inference_mode()
def score_simulated(
    images: npt.NDArray[np.uint8],
    backbone: Backbone,
    method: Method[Any],
    description: str,
    first: int = 0,
) -> npt.NDArray[np.float32]:
    """Score versions of the training images, each as if its own image had not been trained on.

    A memory bank holds patches of the very image that a defect was simulated on. With them, what
    the defect left as it was would score lower than any test image does, and the network would
    learn from maps that are cleaner than those it is for.

    Images are RGB ``(N, V, S, S, 3)``, of the training images from number ``first`` on; the patch
    scores are ``(N, V, h, w)``.
    """
    count, versions = images.shape[:2]
    at_once = max(1, IMAGES // versions)
    scores = []
    with tqdm(total=count, desc=description, unit="image", delay=10) as progress:
        for start in range(0, count, at_once):
            chosen = np.array(images[start : start + at_once])
            pixels = torch.from_numpy(chosen).flatten(0, 1).permute(0, 3, 1, 2).to(method.device)
            patches = as_read(backbone(pixels), method.recipe)
            for row in range(len(chosen)):
                own = patches[row * versions : (row + 1) * versions]
                scores.append(method.score_left_out(own, first + start + row).patches)
            progress.update(len(chosen))
    return np.stack(scores)
