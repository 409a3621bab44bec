"""Linear maps in closed form, as controls for a trained f.

They are not in the paper. They show how much of ReConPatch's result comes from the projection
alone, or from any map that uses the features' covariance or neighbourhoods.
"""

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import eigh
from torch import Tensor, nn
from tqdm import tqdm

from reconpatch.representation.learned import Learned
from reconpatch.representation.similarity import nearest_neighbours, squared_distances
from reconpatch.settings.representation import LinearMapSettings
from reconpatch.utils.errors import InputError

ROWS = 16384
SAMPLE = 4096
"""How many patches are searched for neighbours; their distance matrix takes 64 MiB."""
RIDGE = 1e-6
"""Share of a scatter matrix's mean eigenvalue that is added, so that it can be inverted."""

Matrix = npt.NDArray[np.float64]


def linear_map(
    patches: npt.NDArray[np.floating], settings: LinearMapSettings, seed: int
) -> nn.Linear:
    """Return the map that the settings name, from patch features ``(N, h, w, D)``, as a layer f.

    ``random_projection`` has Gaussian weights, which keep squared distances on average.
    ``principal_components`` projects on the directions of largest variance;
    ``whitened_components`` also scales these to unit variance. ``neighbour_discriminant`` takes the
    directions with the largest ratio of all patches' variance to the scatter between nearest
    neighbours, and scales that scatter to one.

    Args:
        patches: possibly memory-mapped.
        settings: the kind of map and its dimension d.
        seed: the seed of the random projection, and of the sample that is searched for neighbours.

    Raises:
        InputError: d is larger than D, and the map has only D directions.
    """
    flat = patches.reshape(-1, patches.shape[-1])
    inputs, outputs = flat.shape[1], settings.dimension
    rng = np.random.default_rng(seed)
    if settings.kind == "random_projection":
        return affine_layer(
            rng.normal(scale=outputs**-0.5, size=(outputs, inputs)), np.zeros(inputs)
        )
    if outputs > inputs:
        raise InputError(
            f"{settings.kind} has only {inputs} directions, as many as patch features have "
            f"dimensions, but dimension is {outputs}. Choose {inputs} or less."
        )
    mean, total = moments(flat)
    if settings.kind == "neighbour_discriminant":
        rows = np.sort(rng.choice(len(flat), min(SAMPLE, len(flat)), replace=False))
        within = _within_neighbours(torch.from_numpy(flat[rows]).float(), settings.neighbours)
        within += RIDGE * np.trace(within) / inputs * np.eye(inputs)
        _, directions = eigh(total, within)
        return affine_layer(directions[:, ::-1].T[:outputs], mean)
    variances, directions = eigh(total)
    weights = directions[:, ::-1].T[:outputs]
    if settings.kind == "whitened_components":
        ridge = RIDGE * variances.mean()
        weights = weights / np.sqrt(variances[::-1][:outputs, None] + ridge)
    return affine_layer(weights, mean)


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


def affine_layer(weights: Matrix, mean: Matrix) -> nn.Linear:
    """Return the layer ``W (x - mean)``."""
    layer = nn.Linear(weights.shape[1], weights.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights.copy()))
        layer.bias.copy_(torch.from_numpy(-weights @ mean))
    return layer


def moments(flat: npt.NDArray[np.floating]) -> tuple[Matrix, Matrix]:
    """Return the mean ``(D,)`` and the covariance of features ``(N, D)``, block by block."""
    total = np.zeros(flat.shape[1])
    products = np.zeros((flat.shape[1], flat.shape[1]))
    starts = range(0, len(flat), ROWS)
    for start in tqdm(starts, desc="covariance", unit="block", delay=10):
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
