import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch import nn

from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.detection.coreset import greedy_coreset, select_coreset
from reconpatch.detection.memory_bank import MemoryBank
from reconpatch.detection.represent import represent
from reconpatch.detection.scoring import score, score_training
from reconpatch.settings.detection import DetectionSettings, MapSettings
from reconpatch.utils.errors import InputError
from tests import naive

ANOMALIB = Path(__file__).parents[1] / "oracles" / "anomalib_patchcore.npz"
IMAGES, GRID, B = 3, (2, 4), 4


def drawn() -> tuple[torch.Tensor, torch.Tensor]:
    """A bank of 12 vectors, and features of three images of 2 x 4 patches."""
    rng = np.random.default_rng(55)
    return (
        torch.from_numpy(rng.normal(size=(12, 3))).float(),
        torch.from_numpy(rng.normal(size=(IMAGES * GRID[0] * GRID[1], 3))).float(),
    )


def naive_scores(bank: torch.Tensor, features: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Eq. 9's distance and Eq. 10's factor of each patch, ``(images, h, w)``."""
    vectors = bank.tolist()
    distances = [naive.eq9_patch_score(patch, vectors)[0] for patch in features.tolist()]
    factors = [naive.eq10_factor(patch, vectors, B) for patch in features.tolist()]
    shape = (IMAGES, *GRID)
    return np.array(distances).reshape(shape), np.array(factors).reshape(shape)


def test_scores_and_maps_agree_with_anomalibs_patchcore() -> None:
    """Recorded by ``record_anomalib_patchcore.py``; its differences are named in the settings."""
    recorded = np.load(ANOMALIB)
    embeddings = recorded["embeddings"]
    chosen = DetectionSettings(
        reweighting="top_patch",
        reweighting_neighbours=9,
    )
    drawn_maps = MapSettings(upsampling="nearest", border="mirror", sigma=4.0)
    features = torch.from_numpy(embeddings.reshape(-1, embeddings.shape[-1]))
    bank = MemoryBank(torch.from_numpy(recorded["memory_bank"]))
    found = score(bank, features, embeddings.shape[1:3], chosen)
    maps = anomaly_maps(found.patches, recorded["anomaly_maps"].shape[-1], drawn_maps)
    np.testing.assert_allclose(found.patches, recorded["patch_scores"], rtol=1e-4)
    np.testing.assert_allclose(found.images, recorded["image_scores"], rtol=1e-4)
    np.testing.assert_allclose(maps, recorded["anomaly_maps"], rtol=1e-4)


@pytest.mark.parametrize("squared", [False, True])
def test_reweighting_touches_every_patch_the_top_patch_or_none(squared: bool) -> None:
    bank, features = drawn()
    distances, factors = naive_scores(bank, features)
    plain = distances**2 if squared else distances
    found = {
        reweighting: score(
            MemoryBank(bank),
            features,
            GRID,
            DetectionSettings(
                reweighting=reweighting, reweighting_neighbours=B, squared_distances=squared
            ),
        )
        for reweighting in ("none", "top_patch", "every_patch")
    }
    top = plain.reshape(IMAGES, -1).argmax(axis=1)
    top_factors = factors.reshape(IMAGES, -1)[range(IMAGES), top]
    expected = {
        "none": (plain.max(axis=(1, 2)), plain),
        "top_patch": (plain.max(axis=(1, 2)) * top_factors, plain),
        "every_patch": ((plain * factors).max(axis=(1, 2)), plain * factors),
    }
    for reweighting, (images, patches) in expected.items():
        np.testing.assert_allclose(found[reweighting].images, images, rtol=1e-5)
        np.testing.assert_allclose(found[reweighting].patches, patches, rtol=1e-5)
    # The three ways do differ on these features, in at least one image.
    assert (found["top_patch"].images < 0.99 * found["none"].images).any()
    assert (found["top_patch"].images < 0.99 * found["every_patch"].images).any()


@pytest.mark.parametrize("b", [1, B])
@pytest.mark.parametrize("reweighting", ["every_patch", "top_patch", "none"])
def test_a_training_image_is_scored_by_the_banks_vectors_of_other_images(
    reweighting: str, b: int
) -> None:
    _, features = drawn()
    # Of the three images' eight patches each, the bank has all, three, and none.
    taken = torch.tensor([3, 0, 9, 7, 2, 13, 1, 8, 5, 4, 6])
    found = score_training(
        MemoryBank(features[taken]),
        taken,
        features,
        GRID,
        DetectionSettings(reweighting=reweighting, reweighting_neighbours=b),
    )
    assert found.patches.shape == (IMAGES, *GRID)
    for image in range(IMAGES):
        own = range(8 * image, 8 * image + 8)
        others = features[[i for i in taken.tolist() if i not in own]].tolist()
        patches = features[own].tolist()
        distances = [naive.eq9_patch_score(patch, others)[0] for patch in patches]
        # A crowd of r* alone leaves scores as they are.
        weighted = [
            distance * (naive.eq10_factor(patch, others, b) if b > 1 else 1)
            for patch, distance in zip(patches, distances, strict=True)
        ]
        shown = weighted if reweighting == "every_patch" else distances
        largest = {
            "every_patch": max(weighted),
            "top_patch": weighted[distances.index(max(distances))],
            "none": max(distances),
        }
        np.testing.assert_allclose(found.patches[image].ravel(), shown, rtol=1e-5)
        np.testing.assert_allclose(found.images[image], largest[reweighting], rtol=1e-5)


def test_a_bank_of_one_image_cannot_score_that_image() -> None:
    _, features = drawn()
    taken = torch.tensor([9, 15, 8])
    with pytest.raises(InputError, match="larger coreset_share"):
        score_training(MemoryBank(features[taken]), taken, features, GRID, DetectionSettings())


@given(
    features=arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=2, max_side=12),
        # Few values, so that many distances tie.
        elements=st.sampled_from([0.0, 0.1, 100.0]),
    ),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_a_small_coreset_is_the_beginning_of_a_larger_one(features: np.ndarray, seed: int) -> None:
    points = torch.from_numpy(features)
    whole = select_coreset(points, len(points), seed)
    for count in range(1, len(points)):
        assert torch.equal(select_coreset(points, count, seed), whole[:count])


def test_the_seed_draws_the_coresets_first_point() -> None:
    _, features = drawn()
    indices = select_coreset(features, 12, seed=3)
    assert torch.equal(indices, greedy_coreset(features, 12, int(indices[0])))
    firsts = {int(select_coreset(features, 1, seed)) for seed in range(20)}
    assert len(firsts) > 5


def test_features_are_f_of_the_patches_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    # Blocks of few rows, so that the patches cross their borders.
    monkeypatch.setattr(sys.modules["reconpatch.detection.represent"], "ROWS", 7)
    patches = np.random.default_rng(2).normal(size=(2, 3, 4, 5)).astype(np.float32)
    layer = nn.Linear(5, 3)
    found = represent(patches, layer, torch.device("cpu"))
    assert found.shape == (24, 3)
    assert not found.requires_grad
    expected = patches[1, 2, 3] @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    np.testing.assert_allclose(found[23], expected, rtol=1e-5)
    unchanged = represent(patches, None, torch.device("cpu"))
    assert np.array_equal(unchanged.numpy(), patches.reshape(24, 5))


@pytest.mark.parametrize("stored_as", ["float32", "float16"])
@pytest.mark.parametrize("dimension", [1, 4, 5, 10])
def test_pooled_features_are_means_of_neighbouring_channels(
    dimension: int, stored_as: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["reconpatch.detection.represent"], "ROWS", 7)
    patches = np.random.default_rng(2).normal(size=(2, 3, 4, 10)).astype(stored_as)
    found = represent(patches, None, torch.device("cpu"), pooled_dimension=dimension)
    assert found.dtype == torch.float32
    channels = patches[1, 2, 3].astype(np.float64)
    bins = [(i * 10 // dimension, -(-(i + 1) * 10 // dimension)) for i in range(dimension)]
    expected = [channels[start:end].mean() for start, end in bins]
    assert found.shape == (24, dimension)
    np.testing.assert_allclose(found[23], expected, rtol=1e-5, atol=1e-6)


def test_a_layers_output_is_not_pooled() -> None:
    patches = np.zeros((1, 1, 1, 4), dtype=np.float32)
    with pytest.raises(ValueError, match="layer or pooled_dimension"):
        represent(patches, nn.Linear(4, 2), torch.device("cpu"), pooled_dimension=2)
