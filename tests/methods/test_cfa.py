"""CFA against the paper's equations written out, and against anomalib's numbers."""

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn.functional import avg_pool2d, interpolate

from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.features.layer_maps import LayerMaps, pack
from reconpatch.methods.cfa import CFA
from reconpatch.methods.method import TrainingSet
from tests.methods.layer_maps import made_up

CPU = torch.device("cpu")
RECORDED = Path(__file__).parents[1] / "oracles" / "cfa.npz"
TRAINING = TrainingSet(made_up(5, 0), 3, "made up")
TEST = made_up(4, 1)


def fitted(training: TrainingSet = TRAINING, **settings: object) -> CFA:
    recipe = {"features": {"resize": 40, "crop": 40}, "epochs": 2, "batch_size": 2, **settings}
    method = CFA(CFA.Recipe.model_validate(recipe), CPU)
    method.fit(training)
    return method


def naive_descriptors(method: CFA, maps: LayerMaps) -> npt.NDArray[np.float64]:
    """Descriptors ``(N, h w, D)``: weights times pooled channels and the place, and a bias."""
    _, h, w = maps.shape
    layers = [avg_pool2d(layer.double(), 3, 1, 1) for layer in maps.layers()]
    layers = [interpolate(layer, (h, w), mode="bilinear").numpy() for layer in layers]
    state = {name: t.double().numpy() for name, t in method.tensors().items()}
    weight, bias = (state[f"network.descriptor.{part}"] for part in ("weight", "bias"))
    found = np.zeros((len(maps), h * w, len(bias)))
    for n in range(len(maps)):
        for y in range(h):
            for x in range(w):
                place = [2 * y / (h - 1) - 1, 2 * x / (w - 1) - 1]
                seen = np.concatenate([*(layer[n, :, y, x] for layer in layers), place])
                found[n, y * w + x] = weight[:, :, 0, 0] @ seen + bias
    return found


def naive_distances(
    descriptors: npt.NDArray[np.float64], centroids: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Squared distances ``(N, h w, M)`` to the centroids, the nearest first."""
    found = ((descriptors[:, :, None] - centroids) ** 2).sum(axis=3)
    return np.sort(found, axis=2)


def centroids_of(method: CFA) -> npt.NDArray[np.float64]:
    return method.tensors()["network.centroids"].double().numpy()


def test_centroids_are_the_mean_descriptors_before_the_first_step() -> None:
    # With steps that change nothing the descriptor stays what it was.
    method = fitted(learning_rate=1e-30, weight_decay=0)
    expected = naive_descriptors(method, TRAINING.patches).mean(axis=0)
    np.testing.assert_allclose(centroids_of(method), expected, rtol=1e-4, atol=1e-6)
    trained = fitted()
    assert np.array_equal(centroids_of(trained), centroids_of(method))
    assert not np.allclose(naive_descriptors(trained, TRAINING.patches).mean(axis=0), expected)


def test_scores_are_those_of_the_equations(monkeypatch: pytest.MonkeyPatch) -> None:
    # Few descriptors a block, so that its border is crossed.
    monkeypatch.setattr(sys.modules[CFA.__module__], "BLOCK", 7 * 24)
    method = fitted(neighbours=4)
    squared = naive_distances(naive_descriptors(method, TEST), centroids_of(method))
    expected = np.zeros((len(TEST), 24))
    for n, t in np.ndindex(expected.shape):
        nearest = np.sqrt(squared[n, t, :4])
        expected[n, t] = nearest[0] * np.exp(-nearest[0]) / np.exp(-nearest).sum()
    found = method.score(TEST)
    np.testing.assert_allclose(found.patches.reshape(4, 24), expected, rtol=1e-4)
    smooth = anomaly_maps(expected.reshape(4, 4, 6).astype(np.float32), 40, method.recipe.maps)
    np.testing.assert_allclose(found.images, smooth.max(axis=(1, 2)), rtol=1e-4)


def test_the_loss_is_that_of_the_equations() -> None:
    method = fitted(neighbours=2, negatives=4, radius=0.5, margin=0.02)
    squared = naive_distances(naive_descriptors(method, TEST), centroids_of(method))
    pull = push = 0.0
    for n, t in np.ndindex(squared.shape[:2]):
        pull += sum(max(0, d - 0.25) for d in squared[n, t, :2]) / 2
        push += sum(max(0, 0.25 - d - 0.02) for d in squared[n, t, 2:6]) / 4
    assert pull > 0.1
    assert push > 0.1
    (loss,) = method.losses(method.on_device(TEST), np.random.default_rng(0))
    assert loss.item() == pytest.approx((pull + push) / (4 * 24), rel=1e-4)


def test_with_the_papers_radius_nothing_is_pushed() -> None:
    method = fitted()
    near = naive_distances(naive_descriptors(method, TEST), centroids_of(method))[:, :, :3]
    (loss,) = method.losses(method.on_device(TEST), np.random.default_rng(0))
    expected = np.maximum(0, near - method.recipe.radius**2).mean()
    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_centroids_loss_scores_and_maps_agree_with_anomalibs_cfa() -> None:
    """Recorded by ``record_cfa.py``. anomalib's loss is a thousand times that of the paper."""
    recorded = np.load(RECORDED)
    train, test = (
        LayerMaps(pack([torch.from_numpy(m) for m in maps]), [m.shape[1:] for m in maps])
        for split in ("train", "test")
        for maps in [[recorded[f"{split}_{number}"] for number in range(3)]]
    )
    size = recorded["anomaly_maps"].shape[-1]
    for radius, expected in zip(recorded["radii"], recorded["losses"], strict=True):
        method = fitted(
            TrainingSet(train, 0, "recorded"),
            features={"resize": size, "crop": size},
            maps={"border": "mirror"},
            radius=float(radius),
            epochs=1,
        )
        descriptor = method.network.get_submodule("descriptor")
        state = {name: torch.from_numpy(recorded[name]) for name in ("weight", "bias")}
        descriptor.load_state_dict(state)
        with torch.no_grad():
            method.prepare(train, "recorded")
            (loss,) = method.losses(method.on_device(train), np.random.default_rng(0))
        np.testing.assert_allclose(1000 * loss.item(), expected, rtol=1e-4)
    np.testing.assert_allclose(centroids_of(method), recorded["centroids"], rtol=1e-4, atol=1e-6)
    found = method.score(test)
    np.testing.assert_allclose(found.patches, recorded["scores"], rtol=1e-4)
    np.testing.assert_allclose(found.images, recorded["image_scores"], rtol=1e-4)
    maps = anomaly_maps(found.patches, size, method.recipe.maps)
    np.testing.assert_allclose(maps, recorded["anomaly_maps"], rtol=1e-4)


def test_training_draws_descriptors_to_the_centroids() -> None:
    before, after = (
        naive_distances(naive_descriptors(m, TRAINING.patches), centroids_of(m))[:, :, 0].mean()
        for m in (
            fitted(learning_rate=1e-30, weight_decay=0),
            fitted(epochs=20, learning_rate=0.01),
        )
    )
    assert after < 0.5 * before
