"""The same work in plain form, and as others' public code does it, written anew.

This is not part of the package. The package is measured against it, and must agree with it.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from tqdm import tqdm

from reconpatch.representation.similarity import squared_distances
from reconpatch.settings.representation import RepresentationSettings


@torch.inference_mode()
def plain_greedy(features: Tensor, count: int, start: int) -> Tensor:
    """The greedy k-centre rule as written: a matrix-vector product over all rows for each centre.

    It is exact, and as fast as possible for a method that reads the whole matrix for every centre.

    Args:
        features: ``(N, D)``.
        count: how many points to select.
        start: the first point's index.

    Returns:
        The indices ``(count,)`` in the order in which they were taken.
    """
    features = features - features.mean(dim=0)
    norms = features.square().sum(dim=1)
    nearest = torch.full_like(norms, torch.inf)
    squared = torch.empty_like(norms)
    taken = [start]
    for _ in tqdm(range(count - 1), desc="plain greedy", unit="centre"):
        centre = taken[-1]
        torch.addmv(norms, features, features[centre], alpha=-2, out=squared)
        torch.minimum(nearest, squared.add_(norms[centre]), out=nearest)
        nearest[centre] = -torch.inf
        taken.append(int(nearest.argmax()))
    return torch.tensor(taken)


@torch.inference_mode()
def approximate_greedy(features: Tensor, count: int, seed: int) -> Tensor:
    """The approximate greedy coreset of amazon-science/patchcore-inspection.

    An untrained linear layer projects the features to 128 dimensions. A point's distance starts as
    its mean distance from ten random points; each new centre lowers it to the distance from that
    centre. As in the public code, all squared norms are computed again for each centre.
    """
    generator = torch.Generator().manual_seed(seed)
    # A linear layer's initial weights: uniform within one over the root of its inputs.
    bound = features.shape[1] ** -0.5
    projection = torch.empty(features.shape[1], 128).uniform_(-bound, bound, generator=generator)
    projected = features @ projection
    starts = torch.randperm(len(features), generator=generator)[:10]
    nearest = _distances(projected, projected[starts]).mean(dim=1, keepdim=True)
    taken = []
    for _ in tqdm(range(count), desc="approximate greedy", unit="centre"):
        centre = int(nearest.argmax())
        taken.append(centre)
        newest = _distances(projected, projected[centre : centre + 1])
        nearest = torch.cat([nearest, newest], dim=1).min(dim=1).values[:, None]
    return torch.tensor(taken)


def _distances(points: Tensor, centres: Tensor) -> Tensor:
    """All distances ``(N, M)``, norms and products in batched matrix products."""
    own = points.unsqueeze(1).bmm(points.unsqueeze(2)).view(-1, 1)
    theirs = centres.unsqueeze(1).bmm(centres.unsqueeze(2)).view(1, -1)
    return (own + theirs - 2 * points @ centres.T).clamp(min=0).sqrt()


@torch.no_grad()
def dense_labels(zbar: Tensor, settings: RepresentationSettings) -> Tensor:
    """Eqs. 1-6 with dense masks as neighbourhoods, intersected by ``B x B`` matrix products."""
    squared, near, half = _neighbour_masks(zbar, settings)
    shared = near * (near @ near.T) / settings.k
    members = half * half.T
    # A patch whose half set is empty keeps its own row.
    members += torch.diag((members.sum(dim=1) == 0).to(members))
    return _mixed(squared, members @ shared / members.sum(dim=1, keepdim=True), settings)


@torch.no_grad()
def looped_labels(zbar: Tensor, settings: RepresentationSettings) -> Tensor:
    """Eqs. 1-6 with Eq. 2 computed row by row, as STML's public code does.

    Row i sums the mask over the columns of i's neighbours, and keeps the sums of i's neighbours.
    """
    squared, near, half = _neighbour_masks(zbar, settings)
    shared = torch.zeros_like(near)
    for row in range(len(near)):
        inside = near[row].nonzero()[:, 0]
        shared[row, inside] = near[:, inside].sum(dim=1)[inside] / settings.k
    members = half * half.T
    members += torch.diag((members.sum(dim=1) == 0).to(members))
    return _mixed(squared, members @ shared / members.sum(dim=1, keepdim=True), settings)


def _neighbour_masks(
    zbar: Tensor, settings: RepresentationSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """Squared distances, and ``N_k`` and ``N_{k/2}`` as rows of ones and zeros.

    The distances are the package's own, so that rounding does not reorder almost equal neighbours.
    """
    squared = squared_distances(zbar)
    masked = squared.clone().fill_diagonal_(-1.0 if settings.include_self else torch.inf)
    order = masked.topk(settings.k, largest=False).indices
    empty = torch.zeros_like(squared)
    near, half = (empty.scatter(1, order[:, :n], 1) for n in (settings.k, settings.half_k))
    return squared, near, half


def _mixed(squared: Tensor, expanded: Tensor, settings: RepresentationSettings) -> Tensor:
    """Eqs. 1, 5 and 6."""
    sigma: float | Tensor = settings.sigma
    if settings.sigma_unit == "mean_squared_distance":
        sigma = sigma * squared.sum() / (len(squared) * (len(squared) - 1))
    contextual = (expanded + expanded.T) / 2
    return settings.alpha * torch.exp(-squared / sigma) + (1 - settings.alpha) * contextual


def dense_loss(z: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Eq. 7 as written, with its gradient left to autograd."""
    same = torch.eye(len(z), dtype=torch.bool, device=z.device)
    centred = z - z.mean(dim=0)
    norms = centred.square().sum(dim=1)
    squared = (norms[:, None] + norms - 2 * centred @ centred.T).clamp(min=0)
    # The root has no gradient at zero, so that the diagonal is replaced.
    distances = squared.masked_fill(same, 1).sqrt().masked_fill(same, 0)
    relative = distances / distances.mean(dim=1, keepdim=True)
    attracted = labels * relative.square()
    repelled = (1 - labels) * (margin - relative).relu().square()
    return (attracted + repelled).sum() / len(z)


def matrix_products(
    batch: int,
    inputs: int,
    settings: RepresentationSettings,
    device: torch.device | str = "cpu",
) -> Callable[[], None]:
    """Return a function that runs the matrix products of one training step and nothing else.

    Its matrices are allocated once, so that no training step can be faster.
    """
    hidden = settings.dimension
    outputs = settings.projection_dimension or hidden
    shapes = [
        *[(batch, inputs, hidden), (batch, hidden, outputs)] * 2,  # f and g of both networks
        (outputs, batch, hidden),  # gradient of g's weights
        (batch, outputs, hidden),  # gradient of g's input
        (hidden, batch, inputs),  # gradient of f's weights
        *[(batch, outputs, batch)] * 2,  # all distances of z and of its average
        (batch, batch, outputs),  # gradient of the loss
    ]
    products = [
        (
            torch.randn(n, k, device=device),
            torch.randn(k, m, device=device),
            torch.empty(n, m, device=device),
        )
        for n, k, m in shapes
    ]

    def run() -> None:
        for left, right, out in products:
            torch.mm(left, right, out=out)

    return run
