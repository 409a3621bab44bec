"""A run's detection: memory bank from the training patches, scores of the test patches."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from reconpatch.detection.coreset import coreset_size, greedy_coreset
from reconpatch.detection.memory_bank import MemoryBank
from reconpatch.recipe import DetectionSettings

Array = npt.NDArray[np.float32]
ROWS = 8192


@dataclass(frozen=True)
class Scores:
    """What a memory bank says of images.

    Attributes:
        images: one score an image, ``(N,)``; higher is more anomalous.
        patches: one score a patch, ``(N, h, w)``.
    """

    images: Array
    patches: Array


@torch.inference_mode()
def represent(
    patches: npt.NDArray[np.floating], layer: nn.Linear | None, device: torch.device
) -> Tensor:
    """Return the features ``(N h w, d)`` that detection works on, in single precision.

    That is ``f(p)`` for a representation layer f, and the patch features themselves for None
    (PatchCore). Memory: ``4 N h w d`` bytes on the device.

    Args:
        patches: patch features ``(N, h, w, D)``, possibly memory-mapped.
        layer: f, or None.
        device: where the features are wanted.
    """
    flat = torch.from_numpy(patches.reshape(-1, patches.shape[-1]))
    if layer is None:
        return flat.to(device, torch.float32)
    layer = layer.to(device)
    features = torch.empty(len(flat), layer.out_features, device=device)
    for rows, filled in zip(flat.split(ROWS), features.split(ROWS), strict=True):
        filled.copy_(layer(rows.to(device, torch.float32)))
    return features


def build_memory_bank(
    features: Tensor, settings: DetectionSettings, seed: int, *, description: str = "coreset"
) -> tuple[MemoryBank, Tensor]:
    """Return the bank of the features' coreset, and the coreset's indices.

    The first point of the coreset is drawn from the seed.
    """
    start = int(np.random.default_rng(seed).integers(len(features)))
    count = coreset_size(len(features), settings.coreset_share)
    indices = greedy_coreset(features, count, start, description=description)
    return MemoryBank(features[indices.to(features.device)]), indices


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
