from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from reconpatch.detection import (
    MemoryBank,
    anomaly_maps,
    build_memory_bank,
    detect,
    greedy_coreset,
    represent,
    score,
)
from reconpatch.recipe import DetectionSettings
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
        map_upsampling="nearest",
        map_border="mirror",
        map_sigma=4.0,
    )
    features = torch.from_numpy(embeddings.reshape(-1, embeddings.shape[-1]))
    bank = MemoryBank(torch.from_numpy(recorded["memory_bank"]))
    found = score(bank, features, embeddings.shape[1:3], chosen)
    maps = anomaly_maps(found.patches, recorded["anomaly_maps"].shape[-1], chosen)
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


def test_the_bank_holds_the_coreset_and_the_seed_draws_its_first_point() -> None:
    _, features = drawn()
    chosen = DetectionSettings(coreset_share=0.5)
    bank, indices = build_memory_bank(features, chosen, seed=3)
    assert torch.equal(bank.vectors, features[indices])
    assert torch.equal(indices, greedy_coreset(features, 12, int(indices[0])))
    assert torch.equal(indices, build_memory_bank(features, chosen, seed=3)[1])
    firsts = {int(build_memory_bank(features, chosen, seed=seed)[1][0]) for seed in range(20)}
    assert len(firsts) > 5


def test_features_are_f_of_the_patches_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    # Blocks of few rows, so that the patches cross their borders.
    monkeypatch.setattr(detect, "ROWS", 7)
    patches = np.random.default_rng(2).normal(size=(2, 3, 4, 5)).astype(np.float32)
    layer = nn.Linear(5, 3)
    found = represent(patches, layer, torch.device("cpu"))
    assert found.shape == (24, 3)
    assert not found.requires_grad
    expected = patches[1, 2, 3] @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    np.testing.assert_allclose(found[23], expected, rtol=1e-5)
    unchanged = represent(patches, None, torch.device("cpu"))
    assert np.array_equal(unchanged.numpy(), patches.reshape(24, 5))
