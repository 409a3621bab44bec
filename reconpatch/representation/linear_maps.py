"""Linear maps in closed form: what a trained f is compared with.

None of them is the paper's. They tell how much of ReConPatch's result is the projection alone, or
what any map that knows the features' covariance or neighbourhoods gives.
"""

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import eigh
from torch import Tensor, nn

from reconpatch.representation.learned import Learned
from reconpatch.representation.similarity import nearest_neighbours, squared_distances
from reconpatch.settings.representation import LinearMapSettings
from reconpatch.utils.errors import InputError

ROWS = 16384
SAMPLE = 4096
"""Patches among which neighbours are looked for: their distances take 64 MiB."""
RIDGE = 1e-6
"""Of a scatter matrix's mean eigenvalue, so that directions without variance stay finite."""

Matrix = npt.NDArray[np.float64]


def linear_map(
    patches: npt.NDArray[np.floating], settings: LinearMapSettings, seed: int
) -> nn.Linear:
    """Return the map of patch features ``(N, h, w, D)`` that the settings name, as a layer f.

    ``random_projection`` has Gaussian weights that keep squared distances on average.
    ``principal_components`` turns to the directions of largest variance, ``whitened_components``
    also scales them to unit variance. ``neighbour_discriminant`` takes the directions in which
    patches vary most for what they differ from their nearest neighbours, scaled to unit scatter
    between these.

    Args:
        patches: possibly memory-mapped.
        settings: the kind of map and its dimension d.
        seed: of the random projection, and of the patches whose neighbours are looked for.

    Raises:
        InputError: d is above D, where there are D directions.
    """
    flat = patches.reshape(-1, patches.shape[-1])
    inputs, outputs = flat.shape[1], settings.dimension
    rng = np.random.default_rng(seed)
    if settings.kind == "random_projection":
        return _layer(rng.normal(scale=outputs**-0.5, size=(outputs, inputs)), np.zeros(inputs))
    if outputs > inputs:
        raise InputError(
            f"{settings.kind} has {inputs} directions, those of the patch features; a dimension of "
            f"{outputs} is more. Take {inputs} or less."
        )
    mean, total = _moments(flat)
    if settings.kind == "neighbour_discriminant":
        rows = np.sort(rng.choice(len(flat), min(SAMPLE, len(flat)), replace=False))
        within = _within_neighbours(torch.from_numpy(flat[rows]).float(), settings.neighbours)
        within += RIDGE * np.trace(within) / inputs * np.eye(inputs)
        _, directions = eigh(total, within)
        return _layer(directions[:, ::-1].T[:outputs], mean)
    variances, directions = eigh(total)
    weights = directions[:, ::-1].T[:outputs]
    if settings.kind == "whitened_components":
        ridge = RIDGE * variances.mean()
        weights = weights / np.sqrt(variances[::-1][:outputs, None] + ridge)
    return _layer(weights, mean)


def learn(
    patches: npt.NDArray[np.floating],
    settings: LinearMapSettings,
    seed: int,
    *,
    device: torch.device,
    description: str,
) -> Learned:
    """Return the map as the layer f; it is computed on the CPU, in moments.

    Raises:
        InputError: as ``linear_map``.
    """
    layer = linear_map(patches, settings, seed)
    return Learned({"representation": {f"f.{n}": t for n, t in layer.state_dict().items()}})


def _layer(weights: Matrix, mean: Matrix) -> nn.Linear:
    """The layer ``W (x - mean)``."""
    layer = nn.Linear(weights.shape[1], weights.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights.copy()))
        layer.bias.copy_(torch.from_numpy(-weights @ mean))
    return layer


def _moments(flat: npt.NDArray[np.floating]) -> tuple[Matrix, Matrix]:
    """Mean and covariance, a block of rows at a time."""
    total = np.zeros(flat.shape[1])
    products = np.zeros((flat.shape[1], flat.shape[1]))
    for start in range(0, len(flat), ROWS):
        block = flat[start : start + ROWS].astype(np.float64)
        total += block.sum(axis=0)
        products += block.T @ block
    mean = total / len(flat)
    return mean, products / len(flat) - np.outer(mean, mean)


def _within_neighbours(sample: Tensor, k: int) -> Matrix:
    """Half the mean outer product of a patch's difference from each of its k neighbours."""
    neighbours = nearest_neighbours(squared_distances(sample), k, include_self=False)
    differences = (sample[:, None] - sample[neighbours]).flatten(0, 1).double()
    scatter: Matrix = (differences.T @ differences / (2 * len(differences))).numpy()
    return scatter
