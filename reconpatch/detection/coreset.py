"""The exact greedy k-centre coreset (Section 3.1; Sinha et al., 2020), a few passes long.

The greedy rule takes, again and again, the point farthest from all taken so far. Distances to the
taken only shrink, so yesterday's distances are upper bounds today: within the m points of largest
bound the rule can run alone for as long as their largest distance stays above the bound of every
point outside. Then one matrix product brings all points up to date with the whole batch of new
centres. The outcome is the plain rule's, ties aside; the features are read once a batch instead of
once a centre.
"""

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

ROWS = 4096


def coreset_size(patches: int, share: float) -> int:
    """Return how many of ``patches`` a coreset of ``share`` keeps: rounded down, one at least."""
    return max(1, int(patches * share))


@torch.inference_mode()
def greedy_coreset(
    features: Tensor,
    count: int,
    start: int,
    *,
    contenders: int = 2048,
    description: str = "coreset",
) -> Tensor:
    """Return the indices ``(count,)`` of the coreset, in the order in which they were taken.

    Memory beside the features ``(N, D)``: ``8 N`` bytes of norms and bounds, ``4 m (m + D)`` bytes
    for ``m`` contenders, and ``4 * 4096 * m`` for one block of distances.

    Args:
        features: ``(N, D)``, on any device.
        count: how many to take; no point is taken twice.
        start: the first point's index.
        contenders: m, how many points run for a batch of centres.
        description: what the progress bar calls the work.

    Raises:
        ValueError: ``count`` is not between 1 and N.
    """
    total = len(features)
    if not 1 <= count <= total:
        raise ValueError(f"a coreset of {count} cannot be taken from {total} features")
    points = _Points(features)
    bounds = torch.full((total,), torch.inf, device=features.device)
    taken = [start]
    points.lower(bounds, torch.tensor(taken, device=features.device))
    with tqdm(total=count, initial=1, desc=description, unit="centre") as progress:
        while len(taken) < count:
            batch = _run(points, bounds, count - len(taken), contenders)
            points.lower(bounds, batch)
            taken += batch.tolist()
            progress.update(len(batch))
    return torch.tensor(taken)


class _Points:
    """All features with what their squared distances need: the mean and the centred norms.

    Distances are taken from the mean, so that rounding scales with the features' spread; the
    features themselves are not copied.
    """

    def __init__(self, features: Tensor) -> None:
        self.features = features
        self.mean = features.mean(dim=0)
        self.norms = features.new_empty(len(features))
        buffer = features.new_empty(min(ROWS, len(features)), features.shape[1])
        for rows, norms in zip(features.split(ROWS), self.norms.split(ROWS), strict=True):
            centred = torch.sub(rows, self.mean, out=buffer[: len(rows)])
            torch.sum(centred.square_(), dim=1, out=norms)

    def lower(self, bounds: Tensor, centres: Tensor) -> None:
        """Lower each point's bound to its squared distance from the nearest of the new centres."""
        vectors = self.features[centres] - self.mean
        # ||x - c||^2 = ||x - mu||^2 + ||c - mu||^2 - 2 (x - mu).(c - mu), and the last product is
        # x.(c - mu) - mu.(c - mu), which spares a centred copy of x.
        offsets = self.norms[centres] + 2 * (vectors @ self.mean)
        doubled = -2 * vectors.T
        buffer = self.features.new_empty(min(ROWS, len(self.features)), len(centres))
        for rows, norms, part in zip(
            self.features.split(ROWS), self.norms.split(ROWS), bounds.split(ROWS), strict=True
        ):
            block = torch.mm(rows, doubled, out=buffer[: len(rows)]).add_(offsets)
            torch.minimum(part, block.amin(dim=1).add_(norms).clamp_(min=0), out=part)
        bounds[centres] = -torch.inf


def _run(points: _Points, bounds: Tensor, most: int, contenders: int) -> Tensor:
    """Return the next centres, ``most`` at most: the greedy rule among the contenders alone."""
    largest, indices = bounds.topk(min(contenders + 1, len(bounds)))
    outside = -torch.inf
    if len(largest) > contenders:
        outside = largest[-1].item()
        largest, indices = largest[:-1], indices[:-1]
    vectors = points.features[indices] - points.mean
    norms = points.norms[indices]
    squared = torch.addmm(norms[:, None] + norms, vectors, vectors.T, alpha=-2).cpu().numpy()
    nearest = largest.cpu().numpy()
    batch: list[int] = []
    while len(batch) < min(most, len(nearest)):
        farthest = int(nearest.argmax())
        if batch and nearest[farthest] <= outside:
            break
        batch.append(farthest)
        np.minimum(nearest, squared[farthest], out=nearest)
        nearest[farthest] = -np.inf
    return indices[torch.tensor(batch, device=indices.device)]
