"""The controls: maps in closed form, against what defines them."""

import numpy as np
import pytest
import torch

from reconpatch.representation.linear_maps import linear_map
from reconpatch.settings.representation import LinearMapSettings
from reconpatch.utils.errors import InputError


def correlated(count: int = 4000, seed: int = 0) -> np.ndarray:
    """Patch features (10, h, w, 5) of unequal, correlated channels, off the origin."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(count, 5)) * [5, 3, 1, 0.5, 0.1] @ rng.normal(size=(5, 5)) + 7
    return mixed.reshape(10, 20, -1, 5).astype(np.float32)


def mapped(patches: np.ndarray, kind: str, dimension: int, **others: int) -> np.ndarray:
    settings = LinearMapSettings.model_validate({"kind": kind, "dimension": dimension, **others})
    with torch.no_grad():
        return linear_map(patches, settings, 0)(torch.from_numpy(patches.reshape(-1, 5))).numpy()


def test_principal_components_are_those_of_a_singular_value_decomposition() -> None:
    patches = correlated()
    found = mapped(patches, "principal_components", 3)
    flat = patches.reshape(-1, 5).astype(np.float64)
    u, s, _ = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(found), np.abs(u * s)[:, :3], rtol=1e-3, atol=1e-3)


def test_whitened_components_have_unit_covariance() -> None:
    found = mapped(correlated(), "whitened_components", 4)
    np.testing.assert_allclose(np.cov(found.T, bias=True), np.eye(4), atol=2e-3)


def test_the_discriminant_finds_the_direction_that_tells_groups_apart() -> None:
    """Two tight groups lie apart along a channel that varies less than the noise on another."""
    rng = np.random.default_rng(0)
    group = rng.integers(2, size=2000)
    noise = rng.normal(size=(2000, 5)) * [0.05, 1, 1, 1, 1]
    noise[:, 0] += group
    patches = noise.reshape(10, 10, 20, 5).astype(np.float32)
    discriminant = mapped(patches, "neighbour_discriminant", 1, neighbours=5)[:, 0]
    component = mapped(patches, "principal_components", 1)[:, 0]
    told, untold = (abs(np.corrcoef(found, group)[0, 1]) for found in (discriminant, component))
    assert told > 0.9
    assert untold < 0.5


def test_a_random_projection_keeps_squared_distances_on_average() -> None:
    patches = correlated(200)
    flat = patches.reshape(-1, 5)
    found = mapped(patches, "random_projection", 2000)
    before = np.square(flat[::2] - flat[1::2]).sum(axis=1)
    after = np.square(found[::2] - found[1::2]).sum(axis=1)
    np.testing.assert_allclose(after, before, rtol=0.25)


def test_more_directions_than_there_are_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"principal_components has only 5 directions.*Choose 5 or less"
    ):
        mapped(correlated(), "principal_components", 6)
