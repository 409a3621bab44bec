"""The equations written out loop by loop in float64: slow, and readable beside the paper.

The tests hold the package against these. Nothing here imports the package, so that a misreading
there is not repeated here.
"""

import math
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

Rows = Sequence[Sequence[float]]
Matrix = list[list[float]]
Sets = list[set[int]]


@contextmanager
def double_precision() -> Iterator[None]:
    """Make float64 torch's default, for code that creates tensors of the default type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def eq1_pairwise_similarity(zbar: Rows, sigma: float) -> Matrix:
    return [[math.exp(-(math.dist(a, b) ** 2) / sigma) for b in zbar] for a in zbar]


def neighbour_sets(zbar: Rows, k: int, *, include_self: bool) -> Sets:
    """N_k(i): the k rows nearest to row i, which itself counts among them or not."""
    sets = []
    for i, a in enumerate(zbar):
        others = sorted((math.dist(a, b), j) for j, b in enumerate(zbar) if j != i)
        nearest = [j for _, j in others]
        sets.append(set([i, *nearest][:k] if include_self else nearest[:k]))
    return sets


def eq2_shared_neighbours(neighbours: Sets) -> Matrix:
    return [
        [
            len(mine & theirs) / len(mine) if j in mine else 0.0
            for j, theirs in enumerate(neighbours)
        ]
        for mine in neighbours
    ]


def eq3_reciprocal_neighbours(neighbours: Sets) -> Sets:
    return [{j for j in mine if i in neighbours[j]} for i, mine in enumerate(neighbours)]


def eq4_query_expansion(similarity: Matrix, half: Sets) -> Matrix:
    """Average rows of Eq. 2 over R_{k/2}(i); where that is empty, keep row i."""
    expanded = []
    for i, reciprocal in enumerate(half):
        rows = [similarity[member] for member in reciprocal] or [similarity[i]]
        expanded.append([sum(column) / len(rows) for column in zip(*rows, strict=True)])
    return expanded


def eq5_symmetric(similarity: Matrix) -> Matrix:
    size = range(len(similarity))
    return [[(similarity[i][j] + similarity[j][i]) / 2 for j in size] for i in size]


def contextual_similarity(
    zbar: Rows,
    k: int,
    half_k: int,
    *,
    include_self: bool,
    reciprocal_sets: bool = False,
    reciprocal_half: bool = True,
) -> Matrix:
    """Eqs. 2-5 in a row, the sets of Eqs. 2 and 4 reciprocal or not."""
    sets = neighbour_sets(zbar, k, include_self=include_self)
    half = neighbour_sets(zbar, half_k, include_self=include_self)
    shared = eq2_shared_neighbours(eq3_reciprocal_neighbours(sets) if reciprocal_sets else sets)
    expanded = eq4_query_expansion(
        shared, eq3_reciprocal_neighbours(half) if reciprocal_half else half
    )
    return eq5_symmetric(expanded)


def mean_squared_distance(zbar: Rows) -> float:
    """The mean over pairs of different rows."""
    squares = [
        math.dist(a, b) ** 2 for i, a in enumerate(zbar) for j, b in enumerate(zbar) if i != j
    ]
    return sum(squares) / len(squares)


def eq6_pseudo_labels(pairwise: Matrix, contextual: Matrix, alpha: float) -> Matrix:
    size = range(len(pairwise))
    return [[alpha * pairwise[i][j] + (1 - alpha) * contextual[i][j] for j in size] for i in size]


def eq7_relaxed_contrastive_loss(
    z: Tensor, labels: Matrix, margin: float, *, detach_mean_distance: bool = False
) -> Tensor:
    """In torch, for its gradient; a distance of zero (to itself, to a duplicate) is a constant."""
    size = range(len(z))
    loss = z.new_zeros(())
    for i in size:
        distances = [
            (z[i] - z[j]).norm() if not torch.equal(z[i], z[j]) else z.new_zeros(()) for j in size
        ]
        mean = sum(distances, z.new_zeros(())) / len(z)
        if detach_mean_distance:
            mean = mean.detach()
        for j in size:
            d = distances[j] / mean
            repelled = torch.relu(margin - d)
            loss = loss + labels[i][j] * d**2 + (1 - labels[i][j]) * repelled**2
    return loss / len(z)


def eq8_moving_average(
    average: Sequence[float], theta: Sequence[float], gamma: float
) -> list[float]:
    return [gamma * old + (1 - gamma) * new for old, new in zip(average, theta, strict=True)]


def greedy_coreset(points: Rows, count: int, start: int) -> list[int]:
    """Take, again and again, the point whose nearest taken one is farthest."""
    taken = [start]
    while len(taken) < count:
        left = [i for i in range(len(points)) if i not in taken]
        taken.append(max(left, key=lambda i: min(math.dist(points[i], points[c]) for c in taken)))
    return taken


def eq9_patch_score(patch: Sequence[float], bank: Rows) -> tuple[float, int]:
    """The distance to the nearest vector r*, and which that is."""
    return min((math.dist(patch, vector), r) for r, vector in enumerate(bank))


def eq10_factor(patch: Sequence[float], bank: Rows, b: int) -> float:
    """What Eq. 10 multiplies a score by; r* is among its own neighbours."""
    distance, star = eq9_patch_score(patch, bank)
    crowd = sorted(range(len(bank)), key=lambda r: math.dist(bank[star], bank[r]))[:b]
    return 1 - math.exp(distance) / sum(math.exp(math.dist(patch, bank[r])) for r in crowd)


def eq11_modified_z_score(score: float, reference: Sequence[float], deviation: str) -> float:
    middle = statistics.median(reference)
    distances = [abs(value - middle) for value in reference]
    mad = statistics.median(distances) if deviation == "median" else statistics.fmean(distances)
    return (score - middle) / (1.4826 * mad)


def eq12_discriminability_index(normal: Sequence[float], anomalous: Sequence[float]) -> float:
    gap = abs(statistics.fmean(anomalous) - statistics.fmean(normal))
    return gap / math.sqrt((statistics.pvariance(anomalous) + statistics.pvariance(normal)) / 2)


def auroc(scores: Sequence[float], anomalous: Sequence[bool]) -> float:
    """The share of pairs in which the anomalous score is ahead, ties half."""
    ahead = [
        1.0 if a > n else 0.5 if a == n else 0.0
        for a, a_is in zip(scores, anomalous, strict=True)
        for n, n_is in zip(scores, anomalous, strict=True)
        if a_is and not n_is
    ]
    return sum(ahead) / len(ahead)


def concatenate(maps: list[Tensor], patch_size: int, *, pad: bool) -> Tensor:
    """Upsample, concatenate, and average each p x p neighbourhood of one image's maps."""
    grid = maps[0].shape[-2:]
    together = torch.cat([_upsampled(layer, grid) for layer in maps])
    reach = patch_size // 2
    patches = torch.zeros(*grid, len(together), dtype=together.dtype)
    for row in range(grid[0]):
        for column in range(grid[1]):
            inside = [
                together[:, y, x]
                for y in range(max(0, row - reach), min(grid[0], row + reach + 1))
                for x in range(max(0, column - reach), min(grid[1], column + reach + 1))
            ]
            members = patch_size**2 if pad else len(inside)
            patches[row, column] = torch.stack(inside).sum(dim=0) / members
    return patches


def pool_as_patchcore(
    maps: list[Tensor], patch_size: int, layer_dimension: int, target_dimension: int
) -> Tensor:
    """The steps of amazon-science/patchcore-inspection for one image's maps, patch by patch.

    Each layer is unfolded on its own grid; each of its (channel, row, column) components is brought
    to the finest grid; each patch's components are pooled per layer, and then together.
    """
    grid = maps[0].shape[-2:]
    reach = patch_size // 2
    components = []
    for layer in maps:
        height, width = layer.shape[-2:]
        padded = F.pad(layer, [reach] * 4)
        shifted = [
            channel[row : row + height, column : column + width]
            for channel in padded
            for row in range(patch_size)
            for column in range(patch_size)
        ]
        components.append(_upsampled(torch.stack(shifted), grid))
    patches = torch.zeros(*grid, target_dimension, dtype=maps[0].dtype)
    for row in range(grid[0]):
        for column in range(grid[1]):
            layers = [
                _pooled(layer[:, row, column].tolist(), layer_dimension) for layer in components
            ]
            pooled = _pooled([value for layer in layers for value in layer], target_dimension)
            patches[row, column] = torch.tensor(pooled)
    return patches


def _upsampled(layer: Tensor, grid: Sequence[int]) -> Tensor:
    return F.interpolate(layer[None], size=tuple(grid), mode="bilinear", align_corners=False)[0]


def _pooled(values: list[float], size: int) -> list[float]:
    """Adaptive average pooling to ``size`` values."""
    edges = [
        (i * len(values) // size, math.ceil((i + 1) * len(values) / size)) for i in range(size)
    ]
    return [statistics.fmean(values[start:end]) for start, end in edges]


def focal_loss(logits: Sequence[float], masks: Sequence[int], gamma: float, alpha: float) -> float:
    """-a (1 - q)^gamma log q, averaged; q is the probability of the true class."""
    total = 0.0
    for logit, mask in zip(logits, masks, strict=True):
        p = 1 / (1 + math.exp(-logit))
        q, weight = (p, alpha) if mask else (1 - p, 1 - alpha)
        total -= weight * (1 - q) ** gamma * math.log(q)
    return total / len(logits)


def l1_loss(logits: Sequence[float], masks: Sequence[int]) -> float:
    pairs = zip(logits, masks, strict=True)
    return sum(abs(1 / (1 + math.exp(-logit)) - mask) for logit, mask in pairs) / len(logits)
