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

CONTENDERS = 2048
"""m, how many points run for a batch of centres."""

ROWS = 2048
"""How many points are brought up to date with a batch at once on a CPU."""

BLOCK = 2**28
"""Bytes of the squared distances by which they are on a GPU: 256 MiB."""

BLAS = 8 << 20
"""Bytes for copies that matrix products make of their own: up to 4 MiB with 2 threads, 6 with 8."""


def coreset_size(patches: int, share: float) -> int:
    """Return how many of ``patches`` a coreset of ``share`` keeps: rounded down, one at least.

    Example:
        >>> coreset_size(163_856, 0.01)
        1638
    """
    return max(1, int(patches * share))


def coreset_memory(
    patches: int, dimensions: int, contenders: int = CONTENDERS, *, on_gpu: bool = False
) -> int:
    """Return the bytes that ``greedy_coreset`` takes beside the features and the outcome.

    Of N features of D dimensions, with m contenders, at most N: ``8 N`` for norms and bounds,
    ``16 N`` to sort the bounds, ``4 m D`` for vectors, ``4 m max(m, rows)`` for squared distances,
    and 8 MiB that are the matrix products' own. All in single precision. The rows are 2,048 on a
    CPU, and as many as ``BLOCK`` holds on a GPU.
    """
    m = min(contenders, patches)
    squared = max(m, min(_rows(m, on_gpu=on_gpu), patches)) * m
    return 24 * patches + 4 * (m * dimensions + squared) + BLAS


def _rows(contenders: int, *, on_gpu: bool) -> int:
    return max(1, BLOCK // (4 * contenders)) if on_gpu else ROWS


@torch.inference_mode()
def greedy_coreset(
    features: Tensor,
    count: int,
    start: int,
    *,
    contenders: int = CONTENDERS,
    description: str = "coreset",
) -> Tensor:
    """Return the indices ``(count,)`` of the coreset, in the order in which they were taken.

    Memory beside the features and the outcome: ``coreset_memory``.

    Args:
        features: ``(N, D)``, on any device.
        count: how many to take; no point is taken twice.
        start: the first point's index.
        contenders: m, how many points run for a batch of centres.
        description: what the progress bar calls the work.

    Raises:
        ValueError: ``count`` is not between 1 and N.

    Example:
        >>> features = torch.tensor([[0.0], [1.0], [10.0], [12.0]])
        >>> greedy_coreset(features, count=3, start=0)
        tensor([0, 3, 2])
    """
    total = len(features)
    if not 1 <= count <= total:
        raise ValueError(f"a coreset of {count} cannot be taken from {total} features")
    points = _Points(features, min(contenders, total))
    bounds = torch.full((total,), torch.inf, device=features.device)
    taken = torch.full((count,), start)
    done = 1
    points.lower(bounds, taken[:done].to(features.device))
    with tqdm(total=count, initial=done, desc=description, unit="centre") as progress:
        while done < count:
            batch = _run(points, bounds, count - done, contenders)
            points.lower(bounds, batch)
            taken[done : done + len(batch)] = batch
            done += len(batch)
            progress.update(len(batch))
    return taken


def select_coreset(features: Tensor, count: int, seed: int, description: str = "coreset") -> Tensor:
    """Return the indices ``(count,)`` of the features' coreset; the seed draws its first point.

    They stand in the order in which they were taken, so that the first n are the coreset of n:
    one selection serves several sizes.
    """
    start = int(np.random.default_rng(seed).integers(len(features)))
    return greedy_coreset(features, count, start, description=description)


class _Points:
    """All features with what their squared distances need: the mean and the centred norms.

    Distances are taken from the mean, so that rounding scales with the features' spread; the
    features themselves are not copied. Matrices are laid out in the same two pieces of memory
    again and again: batches differ in size, and what each would leave behind adds up.
    """

    def __init__(self, features: Tensor, contenders: int) -> None:
        self.features = features
        self.mean = features.mean(dim=0)
        self.norms = features.new_empty(len(features))
        self._vectors = features.new_empty(contenders, features.shape[1])
        self._rows = _rows(contenders, on_gpu=features.is_cuda)
        largest = max(contenders, min(self._rows, len(features))) * contenders
        self._squared = features.new_empty(largest)
        for rows, norms in zip(
            features.split(contenders), self.norms.split(contenders), strict=True
        ):
            centred = torch.sub(rows, self.mean, out=self._vectors[: len(rows)])
            torch.sum(centred.square_(), dim=1, out=norms)

    def squared_distances(self, indices: Tensor) -> Tensor:
        """Return all squared distances ``(n, n)`` among n contenders, until the next call."""
        vectors, norms = self._centred(indices), self.norms[indices]
        squared = self._matrix(len(indices), len(indices))
        torch.add(norms[:, None], norms, out=squared)
        return squared.addmm_(vectors, vectors.T, alpha=-2)

    def lower(self, bounds: Tensor, centres: Tensor) -> None:
        """Lower each point's bound to its squared distance from the nearest of the new centres."""
        vectors = self._centred(centres)
        # ||x - c||^2 = ||x - mu||^2 + ||c - mu||^2 - 2 (x - mu).(c - mu), and the last product is
        # x.(c - mu) - mu.(c - mu), which spares a centred copy of x.
        offsets = self.norms[centres] + 2 * (vectors @ self.mean)
        for rows, norms, part in zip(
            *(t.split(self._rows) for t in (self.features, self.norms, bounds)), strict=True
        ):
            squared = self._matrix(len(rows), len(centres))
            torch.addmm(offsets, rows, vectors.T, alpha=-2, out=squared)
            torch.minimum(part, squared.amin(dim=1).add_(norms).clamp_(min=0), out=part)
        bounds[centres] = -torch.inf

    def _centred(self, indices: Tensor) -> Tensor:
        vectors = self._vectors[: len(indices)]
        return torch.index_select(self.features, 0, indices, out=vectors).sub_(self.mean)

    def _matrix(self, rows: int, columns: int) -> Tensor:
        return self._squared[: rows * columns].view(rows, columns)


def _run(points: _Points, bounds: Tensor, most: int, contenders: int) -> Tensor:
    """Return the next centres, ``most`` at most: the greedy rule among the contenders alone."""
    largest, indices = bounds.topk(min(contenders + 1, len(bounds)))
    outside = -torch.inf
    if len(largest) > contenders:
        outside = largest[-1].item()
        largest, indices = largest[:-1], indices[:-1]
    squared = points.squared_distances(indices).cpu().numpy()
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
