"""Diagnostics of a representation that need no defective image."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

SAMPLE = 2048
"""How many patches are compared; the distance matrix of each space takes 16 MiB."""


def effective_rank(features: Tensor) -> float:
    """Return how many directions features ``(N, d)`` use, between 1 and d.

    It is the exponential of the entropy of the covariance's eigenvalues, as shares of their sum
    (Roy and Vetterli, "The effective rank", 2007).
    """
    shares = torch.linalg.eigvalsh(torch.cov(features.double().T)).clamp(min=0)
    shares = shares[shares > 0] / shares.sum()
    return float(torch.exp(-(shares * shares.log()).sum()))


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
