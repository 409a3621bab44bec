"""Scores of simulated images, as their own image's vectors leave the memory bank."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from reconpatch.detection import MemoryBank, score
from reconpatch.features import Backbone, patch_features
from reconpatch.settings import DetectionSettings, FeatureSettings

IMAGES = 16
"""About how many images go through the backbone at a time."""


@torch.inference_mode()
def score_simulated(
    images: npt.NDArray[np.uint8],
    backbone: Backbone,
    represent: Callable[[Tensor], Tensor],
    vectors: Tensor,
    bank_indices: Tensor,
    features: FeatureSettings,
    detection: DetectionSettings,
    description: str,
) -> npt.NDArray[np.float32]:
    """Score versions of the training images by what the memory bank has of the other images.

    The bank holds patches of the very image that a defect was simulated on. With them, what the
    defect left as it was would score lower than any test image does, and the network would learn
    from maps that are cleaner than those it is for.

    Args:
        images: RGB ``(N, V, S, S, 3)``.
        backbone: the model's.
        represent: from patch features ``(B, h, w, D)`` to what detection works on, ``(B h w, d)``.
        vectors: the memory bank's, ``(M, d)``.
        bank_indices: which training patches they are, ``(M,)``.
        features: from images to patch features.
        detection: from those to scores.
        description: what the progress bar calls the work.

    Returns:
        Patch scores ``(N, V, h, w)``.
    """
    count, versions = images.shape[:2]
    at_once = max(1, IMAGES // versions)
    scores: npt.NDArray[np.float32] | None = None
    with tqdm(total=count, desc=description, unit="image", delay=10) as progress:
        for start in range(0, count, at_once):
            chosen = np.array(images[start : start + at_once])
            pixels = torch.from_numpy(chosen).flatten(0, 1).permute(0, 3, 1, 2).to(vectors.device)
            patches = patch_features(backbone(pixels), features)
            grid = (patches.shape[1], patches.shape[2])
            owners = (bank_indices // (grid[0] * grid[1])).to(vectors.device)
            if scores is None:
                scores = np.empty((count, versions, *grid), np.float32)
            for row, own in enumerate(patches.split(versions), start):
                bank = MemoryBank(vectors[owners != row])
                scores[row] = score(bank, represent(own), grid, detection).patches
            progress.update(len(chosen))
    assert scores is not None
    return scores
