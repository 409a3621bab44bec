"""Diagnostics of a representation that need no defective image."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

SAMPLE = 2048
"""How many patches are compared; the distance matrix of each space takes 16 MiB."""

ROWS = 2048
"""Patches that are in double precision at once: 16 MiB of 1,024 dimensions."""


def effective_rank(features: Tensor) -> float:
    """Return how many directions features ``(N, d)`` use, between 1 and d.

    It is the exponential of the entropy of the covariance's eigenvalues, as shares of their sum
    (Roy and Vetterli, "The effective rank", 2007). Memory as ``scatter``.
    """
    # LAPACK gives the same bits whichever device the scatter was summed on.
    shares = torch.linalg.eigvalsh(scatter(features).cpu()).clamp(min=0)
    shares = shares[shares > 0] / shares.sum()
    return float(torch.exp(-(shares * shares.log()).sum()))


def scatter(features: Tensor) -> Tensor:
    """Return the sum of outer products ``(d, d)`` of features ``(N, d)``, taken from their mean.

    In double precision, a block of rows at a time, where the features lie. Memory: ``16 ROWS d``
    bytes for a block, and ``8 d^2``.
    """
    blocks = features.split(ROWS)
    mean = torch.stack([rows.double().sum(dim=0) for rows in blocks]).sum(dim=0) / len(features)
    products = mean.new_zeros(len(mean), len(mean))
    for rows in blocks:
        centred = rows.double() - mean
        products.addmm_(centred.T, centred)
    return products


def neighbour_overlap(before: Tensor, after: Tensor, k: int) -> float:
    """Return the mean share of a patch's k nearest neighbours that are the same in two spaces.

    Args:
        before: the patches in one space, ``(n, D)``.
        after: the same patches in the other space, ``(n, d)``.
        k: the number of neighbours; a patch is not its own neighbour.
    """
    first, second = (_neighbours(space, k) for space in (before, after))
    same = (first[:, :, None] == second[:, None, :]).any(dim=2)
    return float(same.double().mean())


def _neighbours(features: Tensor, k: int) -> Tensor:
    distances = torch.cdist(features, features).fill_diagonal_(torch.inf)
    return distances.topk(k, largest=False).indices


def relative_spread(scores: npt.NDArray[np.floating]) -> float:
    """Return the standard deviation of scores over their mean."""
    return float(np.std(scores) / np.mean(scores))
