"""PaDiM against the paper's equations written out, and against anomalib's numbers."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.features.layer_maps import LayerMaps, pack
from reconpatch.methods.method import Sizes, TrainingSet
from reconpatch.methods.padim import BLOCK, PaDiM
from reconpatch.utils.errors import InputError
from tests.devices import PretendedGpu
from tests.methods.layer_maps import SHAPES, made_up

CPU = torch.device("cpu")
RECORDED = Path(__file__).parents[1] / "oracles" / "padim.npz"
TRAINING = TrainingSet(made_up(9, 0), 3, "made up")
TEST = made_up(4, 1)


def fitted(training: TrainingSet = TRAINING, **settings: object) -> PaDiM:
    recipe = {"features": {"resize": 40, "crop": 40}, "dimension": 7, **settings}
    method = PaDiM(PaDiM.Recipe.model_validate(recipe), CPU)
    method.fit(training)
    return method


def naive_vectors(maps: LayerMaps, channels: list[int]) -> np.ndarray:
    """The drawn channels at each place of the finest grid, ``(N, h, w, d)``."""
    h, w = maps.shape[1:]
    found = np.zeros((*maps.shape, sum(shape[0] for shape in SHAPES)))
    for y in range(h):
        for x in range(w):
            found[:, y, x] = np.concatenate(
                [
                    layer[:, :, y * layer.shape[2] // h, x * layer.shape[3] // w]
                    for layer in maps.layers()
                ],
                axis=1,
            )
    return found[..., channels]


def naive_distances(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Mahalanobis distances ``(N, h, w)`` by Section III of the paper."""
    n, h, w, d = train.shape
    found = np.zeros(test.shape[:3])
    for y in range(h):
        for x in range(w):
            mean = sum(train[i, y, x] for i in range(n)) / n
            covariance = 0.01 * np.eye(d)
            for i in range(n):
                covariance += np.outer(train[i, y, x] - mean, train[i, y, x] - mean) / (n - 1)
            for i, vector in enumerate(test[:, y, x]):
                squared = (vector - mean) @ np.linalg.inv(covariance) @ (vector - mean)
                found[i, y, x] = squared**0.5
    return found


def test_distances_are_those_of_the_equations(monkeypatch: pytest.MonkeyPatch) -> None:
    # Blocks of few places and few images, so that both cross their borders.
    monkeypatch.setattr(sys.modules[PaDiM.__module__], "BLOCK", 5 * 8 * 7 * (2 * 9 + 3 * 7))
    method = fitted()
    channels = method.channels.tolist()
    assert len(set(channels)) == 7
    found = method.score(TEST)
    expected = naive_distances(*(naive_vectors(m, channels) for m in (TRAINING.patches, TEST)))
    np.testing.assert_allclose(found.patches, expected, rtol=1e-5)
    smooth = anomaly_maps(expected.astype(np.float32), 40, method.recipe.maps)
    np.testing.assert_allclose(found.images, smooth.max(axis=(1, 2)), rtol=1e-5)


def test_a_training_image_is_scored_by_the_gaussians_of_the_others() -> None:
    method = fitted()
    vectors = naive_vectors(TRAINING.patches, method.channels.tolist())
    found = method.score_training(TRAINING)
    for image in range(len(vectors)):
        others = np.delete(vectors, image, axis=0)
        expected = naive_distances(others, vectors[image : image + 1])[0]
        np.testing.assert_allclose(found.patches[image], expected, rtol=1e-5)
    first = method.score_training(TRAINING, images=2)
    np.testing.assert_allclose(first.images, found.images[:2], rtol=1e-6)


def test_scores_and_maps_agree_with_anomalibs_padim() -> None:
    """Recorded by ``record_padim.py``. anomalib adds 1e-5 besides the paper's 0.01."""
    recorded = np.load(RECORDED)
    train, test = (
        LayerMaps(pack([torch.from_numpy(m) for m in maps]), [m.shape[1:] for m in maps])
        for split in ("train", "test")
        for maps in [[recorded[f"{split}_{number}"] for number in range(3)]]
    )
    size = recorded["anomaly_maps"].shape[-1]
    method = fitted(
        TrainingSet(train, int(recorded["seed"]), "recorded"),
        features={"resize": size, "crop": size},
        maps={"border": "mirror"},
        dimension=len(recorded["channels"]),
        regularization=0.01001,
    )
    assert method.channels.tolist() == recorded["channels"].tolist()
    found = method.score(test)
    np.testing.assert_allclose(found.patches, recorded["distances"], rtol=1e-4)
    np.testing.assert_allclose(found.images, recorded["image_scores"], rtol=1e-4)
    maps = anomaly_maps(found.patches, size, method.recipe.maps)
    np.testing.assert_allclose(maps, recorded["anomaly_maps"], rtol=1e-4)


def test_the_seed_draws_the_channels_and_a_backbone_with_fewer_gives_all() -> None:
    drawn = {
        tuple(fitted(TrainingSet(TRAINING.patches, seed, "")).channels.tolist()) for seed in (0, 1)
    }
    assert len(drawn) == 2
    assert fitted(dimension=550).channels.tolist() == list(range(12))
    assert fitted(dimension=550).counts() == {"gaussians": 24, "dimension": 12}


def test_maps_in_half_precision_are_widened() -> None:
    maps: LayerMaps = TRAINING.patches
    half = LayerMaps(maps.packed.half(), maps.shapes)
    widened = LayerMaps(half.packed.float(), maps.shapes)
    scored = [fitted(TrainingSet(m, 3, "")).score(m).patches for m in (half, widened)]
    assert np.array_equal(*scored)


def test_too_few_images_are_named() -> None:
    with pytest.raises(InputError, match="two training images"):
        fitted(TrainingSet(made_up(1, 0), 0, ""))
    pair = TrainingSet(made_up(2, 0), 0, "")
    with pytest.raises(InputError, match="three training images"):
        fitted(pair).score_training(pair)


def test_it_computes_on_a_gpu_as_on_the_cpu() -> None:
    expected = fitted()
    with PretendedGpu():
        method = PaDiM(expected.recipe, torch.device("cuda:0"))
        method.fit(TRAINING)
        for ours, theirs in (
            (method.score(TEST), expected.score(TEST)),
            (method.score_training(TRAINING), expected.score_training(TRAINING)),
        ):
            np.testing.assert_allclose(ours.patches, theirs.patches, rtol=1e-5)


def test_its_model_takes_the_bytes_that_it_says() -> None:
    method = fitted()
    sizes = Sizes(9, 4, 24, made_up(1, 0).packed.shape[1] // 24)
    needs = PaDiM.needs(method.recipe, sizes, on_gpu=False)
    assert needs.model_bytes == sum(tensor.nbytes for tensor in method.tensors().values())
    assert needs.working_bytes == needs.model_bytes + 4 * 9 * 24 * sizes.dimension + 2 * BLOCK
