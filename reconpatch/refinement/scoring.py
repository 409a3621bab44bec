"""Scores of simulated images, each by a method without its own image."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from reconpatch.features import Backbone, patch_features
from reconpatch.methods.method import Method
from reconpatch.settings import FeatureSettings
from reconpatch.utils.halving import Blocks

IMAGES = 16
"""About how many images go through the backbone at a time."""


@torch.inference_mode()
def score_simulated(
    images: npt.NDArray[np.uint8],
    backbone: Backbone,
    method: Method[Any],
    features: FeatureSettings,
    description: str,
) -> npt.NDArray[np.float32]:
    """Score versions of the training images, each as if its own image had not been trained on.

    A memory bank holds patches of the very image that a defect was simulated on. With them, what
    the defect left as it was would score lower than any test image does, and the network would
    learn from maps that are cleaner than those it is for.

    Args:
        images: RGB ``(N, V, S, S, 3)``.
        backbone: the model's.
        method: the fitted method.
        features: from images to patch features.
        description: what the progress bar calls the work.

    Returns:
        Patch scores ``(N, V, h, w)``.
    """
    count, versions = images.shape[:2]
    at_once = max(1, IMAGES // versions)
    scores: npt.NDArray[np.float32] | None = None

    def passed(some: Tensor) -> Tensor:
        return patch_features(backbone(some.to(method.device)), features)

    blocks = Blocks(at_once * versions)
    with tqdm(total=count, desc=description, unit="image", delay=10) as progress:
        for start in range(0, count, at_once):
            chosen = np.array(images[start : start + at_once])
            pixels = torch.from_numpy(chosen).flatten(0, 1).permute(0, 3, 1, 2)
            patches = torch.cat(list(blocks(passed, pixels)))
            grid = (patches.shape[1], patches.shape[2])
            if scores is None:
                scores = np.empty((count, versions, *grid), np.float32)
            for row, own in enumerate(patches.split(versions), start):
                scores[row] = method.score_left_out(own, row).patches
            progress.update(len(chosen))
    assert scores is not None
    return scores
