"""Pseudo-labels from the similarity network's embeddings of a mini-batch (Eqs. 1-6).

Neighbourhoods are lists, never dense masks: with B patches and k neighbours, the contextual
similarity costs B k^3 comparisons and B k^2 additions beside the one B x B distance matrix.
"""

import torch
from torch import Tensor

from reconpatch.recipe import RepresentationSettings


def squared_distances(z: Tensor) -> Tensor:
    """Return all ``||z_i - z_j||^2`` of rows ``(B, D)`` as ``(B, B)``, the diagonal exactly zero.

    One matrix product; the rows are centred first, so that rounding scales with their spread and
    not with their distance from the origin.
    """
    z = z - z.mean(dim=0)
    norms = z.square().sum(dim=1)
    squared = torch.addmm(norms[:, None] + norms, z, z.T, alpha=-2).clamp_(min=0)
    return squared.fill_diagonal_(0)


def pairwise_similarity(squared: Tensor, sigma: float | Tensor) -> Tensor:
    """Eq. 1: ``exp(-||zbar_i - zbar_j||^2 / sigma)`` from squared distances ``(B, B)``."""
    return torch.exp(squared / -sigma)


def nearest_neighbours(squared: Tensor, k: int, *, include_self: bool) -> Tensor:
    """Return the indices ``(B, k)`` of ``N_k(i)``, nearest first (Section 3.2).

    With ``include_self`` patch i is the first of its own neighbours, also where duplicates of it
    are as near; without, it is none of them.
    """
    masked = squared.clone().fill_diagonal_(-1.0 if include_self else torch.inf)
    return masked.topk(k, dim=1, largest=False).indices


def shared_neighbours(neighbours: Tensor) -> Tensor:
    """Eq. 2: ``|N_k(i) & N_k(j)| / |N_k(i)|`` for each j of ``N_k(i)``, aligned to ``(B, k)``.

    Everywhere else Eq. 2 is zero.
    """
    theirs = neighbours[neighbours]
    shared = (neighbours[:, None, :, None] == theirs[:, :, None, :]).any(dim=3).sum(dim=2)
    return shared / neighbours.shape[1]


def reciprocal_neighbours(neighbours: Tensor) -> Tensor:
    """Eq. 3: which of the ``(B, k)`` neighbours j of i have i among their own, as bool."""
    rows = torch.arange(len(neighbours), device=neighbours.device)
    return (neighbours[neighbours] == rows[:, None, None]).any(dim=2)


def query_expansion(neighbours: Tensor, shared: Tensor, half: Tensor) -> Tensor:
    """Eq. 4: the mean of Eq. 2's rows over the reciprocal half set, as ``(B, B)``.

    A patch whose half set is empty (possible only where a patch is not its own neighbour) keeps
    its own row of Eq. 2.

    Args:
        neighbours: ``N_k``, ``(B, k)``.
        shared: Eq. 2 on them, ``(B, k)``.
        half: ``N_{k/2}``, ``(B, h)``.
    """
    size = len(neighbours)
    members = reciprocal_neighbours(half)
    alone = ~members.any(dim=1, keepdim=True)
    rows = torch.arange(size, device=half.device)[:, None]
    half = torch.cat([half, rows], dim=1)
    members = torch.cat([members, alone], dim=1)
    weights = members / members.sum(dim=1, keepdim=True)
    values = (weights[:, :, None] * shared[half]).flatten(1)
    expanded = values.new_zeros(size, size)
    return expanded.scatter_add_(1, neighbours[half].flatten(1), values)


def symmetric(similarity: Tensor) -> Tensor:
    """Eq. 5: the mean of a similarity ``(B, B)`` and its transpose."""
    return (similarity + similarity.T) / 2


def contextual_similarity(squared: Tensor, settings: RepresentationSettings) -> Tensor:
    """Eqs. 2-5 from squared distances ``(B, B)``, as ``(B, B)`` in [0, 1]."""
    neighbours = nearest_neighbours(squared, settings.k, include_self=settings.include_self)
    half = neighbours[:, : settings.half_k]
    return symmetric(query_expansion(neighbours, shared_neighbours(neighbours), half))


@torch.no_grad()
def pseudo_labels(zbar: Tensor, settings: RepresentationSettings) -> Tensor:
    """Eq. 6: ``alpha w_pair + (1 - alpha) w_ctx`` of ``(B, D)`` embeddings, ``(B, B)`` in [0, 1].

    With ``sigma_unit`` ``mean_squared_distance``, sigma counts in the mini-batch's mean squared
    distance between different patches.
    """
    squared = squared_distances(zbar)
    sigma: float | Tensor = settings.sigma
    if settings.sigma_unit == "mean_squared_distance":
        sigma = settings.sigma * squared.sum() / (len(zbar) * (len(zbar) - 1))
    pairwise = pairwise_similarity(squared, sigma)
    contextual = contextual_similarity(squared, settings)
    return torch.lerp(contextual, pairwise, settings.alpha)
