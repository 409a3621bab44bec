"""Scores of test and training patches by a memory bank (Eqs. 9-10)."""

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from reconpatch.detection.memory_bank import MemoryBank
from reconpatch.detection.scores import Scores
from reconpatch.settings.detection import DetectionSettings
from reconpatch.utils.errors import InputError

DELAY = 10
"""Seconds after which the scoring of training images shows its progress."""


@torch.inference_mode()
def score(
    bank: MemoryBank, features: Tensor, grid: tuple[int, int], settings: DetectionSettings
) -> Scores:
    """Score the patches and images of features ``(N h w, d)`` (Eqs. 9-10).

    An image's score is the largest of its patches' scores. ``every_patch`` re-weights all of them
    first, as the paper writes it; ``top_patch`` re-weights only the image's largest, and leaves the
    patch scores as they are, as PatchCore does; ``none`` leaves out Eq. 10.
    """
    distances, nearest = bank.nearest(features)
    patches = distances.square() if settings.squared_distances else distances
    b = settings.reweighting_neighbours
    if settings.reweighting == "every_patch":
        patches = patches * bank.reweighting(features, distances, nearest, b)
    by_image = patches.view(-1, grid[0] * grid[1])
    images, where = by_image.max(dim=1)
    if settings.reweighting == "top_patch":
        top = where + torch.arange(len(where), device=where.device) * by_image.shape[1]
        images = images * bank.reweighting(features[top], distances[top], nearest[top], b)
    return Scores(images.cpu().numpy(), patches.view(-1, *grid).cpu().numpy())


def score_training(
    bank: MemoryBank,
    bank_indices: Tensor,
    features: Tensor,
    grid: tuple[int, int],
    settings: DetectionSettings,
    description: str = "training scores",
) -> Scores:
    """Score each training image by what the memory bank has of the others (Eqs. 9-10).

    Eq. 11 takes these as the scores of normal images, to which a test image's are compared. The
    bank's vectors are training patches: with an image's own among them, those patches would score
    zero and their neighbours little, as no test patch does, and median and deviation would tell of
    images that the bank has seen. Without them each image is as new to the bank as a test image.

    Args:
        bank: the coreset's vectors ``(M, d)``. On a CPU a copy of them is searched for each image.
        bank_indices: the training patches that they are, ``(M,)``.
        features: the training patches' features ``(N h w, d)``, where the bank is.
        grid: ``(h, w)``.
        settings: as ``score`` has them.
        description: what the progress bar calls the work.

    Raises:
        InputError: all of the bank's vectors come from one image.
    """
    patches = grid[0] * grid[1]
    owners = bank_indices.cpu() // patches
    if (owners == owners[0]).all():
        raise InputError(
            f"All {len(owners)} vectors of the memory bank come from one training image, which "
            "leaves none to score that image by. Choose a larger coreset_share, or give more "
            "training images."
        )
    by_image = features.split(patches)
    # Small arrays kept from each turn would lie among large ones freed, and the heap would grow.
    images = np.empty(len(by_image), np.float32)
    scores = np.empty((len(by_image), *grid), np.float32)
    for image, own in enumerate(tqdm(by_image, desc=description, unit="image", delay=DELAY)):
        found = score(bank.without(owners == image), own, grid, settings)
        images[image], scores[image] = found.images[0], found.patches[0]
    return Scores(images, scores)
