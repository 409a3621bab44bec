"""Pseudo-labels from the similarity network's embeddings of a mini-batch (Eqs. 1-6).

Neighbourhoods are index lists, not dense masks. With B patches and k neighbours, the contextual
similarity costs B k^3 comparisons and B k^2 additions, beside one B x B distance matrix.
"""

import math

import torch
from torch import Tensor

from reconpatch.settings.representation import RepresentationSettings
from reconpatch.utils.precision import widest


def squared_distances(z: Tensor) -> Tensor:
    """Return all ``||z_i - z_j||^2`` of rows ``(B, D)`` as ``(B, B)``, the diagonal exactly zero.

    It takes one matrix product. The rows are centred first, so that rounding errors grow with their
    spread and not with their distance from the origin.
    """
    z = z - z.mean(dim=0)
    norms = z.square().sum(dim=1)
    squared = norms[:, None] + norms
    return squared.addmm_(z, z.T, alpha=-2).clamp_(min=0).fill_diagonal_(0)


def pairwise_similarity(squared: Tensor, sigma: float | Tensor) -> Tensor:
    """Eq. 1: ``exp(-||zbar_i - zbar_j||^2 / sigma)`` from squared distances ``(B, B)``.

    Example:
        >>> embeddings = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
        >>> pairwise_similarity(squared_distances(embeddings), sigma=1.0)
        tensor([[1.0000, 0.3679, 0.0183],
                [0.3679, 1.0000, 0.0067],
                [0.0183, 0.0067, 1.0000]])
    """
    # Arithmetic on denormal numbers is some thirty times slower, here and wherever labels are used.
    # A floor of 1e-19 (in single precision) is far below the resolution of a label in [0, 1].
    floor = math.log(torch.finfo(squared.dtype).tiny) / 2
    return (squared / -sigma).clamp_(min=floor).exp_()


def nearest_neighbours(squared: Tensor, k: int, *, include_self: bool) -> Tensor:
    """Return the indices ``(B, k)`` of ``N_k(i)``, nearest first (Section 3.2).

    With ``include_self``, patch i is its own first neighbour, even if it has duplicates; without,
    it is not among its neighbours.

    Example:
        >>> squared = squared_distances(torch.tensor([[0.0], [1.0], [4.0]]))
        >>> nearest_neighbours(squared, 2, include_self=True)
        tensor([[0, 1],
                [1, 0],
                [2, 1]])
    """
    masked = squared.clone().fill_diagonal_(-1.0 if include_self else torch.inf)
    return masked.topk(k, dim=1, largest=False).indices


def shared_neighbours(neighbours: Tensor, members: Tensor | None = None) -> Tensor:
    """Eq. 2: ``|N_k(i) & N_k(j)| / |N_k(i)|`` for each j of ``N_k(i)``, aligned to ``(B, k)``.

    Eq. 2 is zero for every other j. ``members``, bool ``(B, k)``, restricts the sets to some of the
    listed neighbours; the values of the others are zero.
    """
    theirs = neighbours[neighbours]
    same = neighbours[:, None, :, None] == theirs[:, :, None, :]
    if members is None:
        return same.any(dim=3).sum(dim=2) / neighbours.shape[1]
    same &= members[:, None, :, None] & members[neighbours][:, :, None, :]
    counts = members.sum(dim=1, keepdim=True).clamp(min=1)
    return members * same.any(dim=3).sum(dim=2) / counts


def reciprocal_neighbours(neighbours: Tensor) -> Tensor:
    """Eq. 3: which of the ``(B, k)`` neighbours j of i have i among their own, as bool."""
    rows = torch.arange(len(neighbours), device=neighbours.device)
    return (neighbours[neighbours] == rows[:, None, None]).any(dim=2)


def query_expansion(
    neighbours: Tensor, shared: Tensor, half: Tensor, members: Tensor
) -> tuple[Tensor, Tensor]:
    """Eq. 4: the mean of Eq. 2's rows over the half set, as a list of ``n`` terms for each row.

    A patch with an empty half set keeps its own row of Eq. 2. That can happen only if patches are
    not their own neighbours.

    Args:
        neighbours: ``N_k``, ``(B, k)``.
        shared: Eq. 2 on them, ``(B, k)``.
        half: ``N_{k/2}``, ``(B, h)``.
        members: which of those are in the half set, bool ``(B, h)``: by Eq. 4 the reciprocal ones.

    Returns:
        Columns ``(B, n)`` and values ``(B, n)``, ``n = (h + 1) k``. The value of a pair is the sum
        of its terms, or zero if it has none.
    """
    alone = ~members.any(dim=1, keepdim=True)
    rows = torch.arange(len(neighbours), device=half.device)[:, None]
    half = torch.cat([half, rows], dim=1)
    members = torch.cat([members, alone], dim=1)
    weights = members / members.sum(dim=1, keepdim=True)
    return neighbours[half].flatten(1), (weights[:, :, None] * shared[half]).flatten(1)


def add_symmetric(similarity: Tensor, columns: Tensor, values: Tensor) -> Tensor:
    """Eq. 5: add ``(w_ij + w_ji) / 2`` of a list of terms to a matrix ``(B, B)``, in place.

    Args:
        similarity: the matrix to add to.
        columns: ``(B, n)``, the j of each term of row i.
        values: ``(B, n)``, the terms.
    """
    size = len(similarity)
    rows = torch.arange(size, device=columns.device)[:, None]
    places = torch.stack([rows * size + columns, columns * size + rows])
    terms = (values / 2).to(similarity.dtype).expand_as(places)
    similarity.view(-1).scatter_add_(0, places.flatten(), terms.flatten())
    return similarity


@torch.no_grad()
def pseudo_labels(zbar: Tensor, settings: RepresentationSettings) -> Tensor:
    """Eq. 6: ``alpha w_pair + (1 - alpha) w_ctx`` of ``(B, D)`` embeddings, ``(B, B)`` in [0, 1].

    If ``sigma_unit`` is ``mean_squared_distance``, sigma is a multiple of the mini-batch's mean
    squared distance between different patches.
    """
    squared = squared_distances(zbar)
    sigma: float | Tensor = settings.sigma
    if settings.sigma_unit == "mean_squared_distance":
        mean = squared.sum() / (len(zbar) * (len(zbar) - 1))
        # The mean is zero if all patches are duplicates; they are then alike for any sigma.
        sigma = settings.sigma * mean.clamp_(min=torch.finfo(zbar.dtype).tiny)
    neighbours = nearest_neighbours(squared, settings.k, include_self=settings.include_self)
    reciprocal = settings.neighbour_set == "reciprocal"
    shared = shared_neighbours(
        neighbours, reciprocal_neighbours(neighbours) if reciprocal else None
    )
    half = neighbours[:, : settings.half_k]
    reciprocal = settings.half_set == "reciprocal"
    members = reciprocal_neighbours(half) if reciprocal else torch.ones_like(half, dtype=torch.bool)
    columns, values = query_expansion(neighbours, shared, half, members)
    labels = pairwise_similarity(squared, sigma).mul_(settings.alpha)
    return add_symmetric(labels, columns, (1 - settings.alpha) * values).clamp_(max=1)


def label_spread(labels: Tensor) -> Tensor:
    """Return which shares of pairs of different patches have labels below 0.1 and above 0.9.

    Where nearly all are at one end, the pseudo-labels ``(B, B)`` tell hardly anything apart.

    Returns:
        Both shares, ``(2,)``, as precise as the labels' device has it, and there.
    """
    size = len(labels)
    others = ~torch.eye(size, dtype=torch.bool, device=labels.device)
    low, high = ((labels < 0.1) & others).sum(), ((labels > 0.9) & others).sum()
    return torch.stack([low, high]).to(widest(labels.device)) / (size * (size - 1))
