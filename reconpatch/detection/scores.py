"""A run's detection: coreset of the training patches, scores of test and training patches."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from tqdm import tqdm

from reconpatch.detection.coreset import greedy_coreset
from reconpatch.detection.memory_bank import MemoryBank
from reconpatch.settings import DetectionSettings
from reconpatch.utils.errors import InputError

Array = npt.NDArray[np.float32]
ROWS = 8192
DELAY = 10
"""Seconds after which the scoring of training images shows its progress."""


@dataclass(frozen=True)
class Scores:
    """What a memory bank says of images.

    Attributes:
        images: one score an image, ``(N,)``; higher is more anomalous.
        patches: one score a patch, ``(N, h, w)``.
    """

    images: Array
    patches: Array

    @classmethod
    def of(cls, patches: Tensor) -> "Scores":
        """Return patch scores ``(N, h, w)`` with the largest of each image as the image's."""
        return cls(patches.amax(dim=(1, 2)).cpu().numpy(), patches.cpu().numpy())

    @classmethod
    def joined(cls, parts: "Iterable[Scores]") -> "Scores":
        """Return the scores of images that were scored in parts."""
        images, patches = zip(*((part.images, part.patches) for part in parts), strict=True)
        return cls(np.concatenate(images), np.concatenate(patches))


@torch.inference_mode()
def represent(
    patches: npt.NDArray[np.floating] | Tensor,
    layer: nn.Linear | None,
    device: torch.device,
    *,
    pooled_dimension: int | None = None,
) -> Tensor:
    """Return the features ``(N h w, d)`` that detection works on, in single precision.

    That is ``f(p)`` for a representation layer f. Without one (PatchCore) it is the patch features,
    averaged over neighbouring channels down to ``pooled_dimension`` where that is given, as
    PatchCore's public code comes to its target dimension. Memory: ``4 N h w d`` bytes on the
    device, and ``4 ROWS (D + d)`` on the way; none for patch features that stay as they lie.

    Args:
        patches: patch features ``(N, h, w, D)``, possibly memory-mapped.
        layer: f, or None.
        device: where the features are wanted.
        pooled_dimension: d without a layer; None leaves all D.

    Raises:
        ValueError: both a layer and a pooled dimension are given.
    """
    flat = torch.as_tensor(patches).reshape(-1, patches.shape[-1])
    transform: nn.Module
    if layer is not None and pooled_dimension is not None:
        raise ValueError("a layer's output is not pooled: give layer or pooled_dimension")
    if layer is not None:
        transform, dimension = layer.to(device), layer.out_features
    elif pooled_dimension is not None:
        transform, dimension = nn.AdaptiveAvgPool1d(pooled_dimension), pooled_dimension
    elif flat.device == device:
        return flat.float()
    else:
        transform, dimension = nn.Identity(), flat.shape[1]
    features = torch.empty(len(flat), dimension, device=device)
    for rows, filled in zip(flat.split(ROWS), features.split(ROWS), strict=True):
        # What is stored in half precision is widened there.
        filled.copy_(transform(rows.to(device).float()))
    return features


def select_coreset(features: Tensor, count: int, seed: int, description: str = "coreset") -> Tensor:
    """Return the indices ``(count,)`` of the features' coreset; the seed draws its first point.

    They stand in the order in which they were taken, so that the first n are the coreset of n:
    one selection serves several sizes.
    """
    start = int(np.random.default_rng(seed).integers(len(features)))
    return greedy_coreset(features, count, start, description=description)


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
