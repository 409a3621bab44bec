"""SPADE against its definition written out, and its blocks."""

import math
import sys

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from reconpatch.features.layer_maps import LayerMaps
from reconpatch.methods.method import Sizes, TrainingSet
from reconpatch.methods.spade import SPADE
from reconpatch.utils.errors import InputError
from tests.devices import PretendedGpu
from tests.methods.layer_maps import made_up

CPU = torch.device("cpu")
TRAINING = TrainingSet(made_up(6, 0), 0, "made up")
TEST = made_up(3, 1)
NEIGHBOURS = 4


def fitted(training: TrainingSet = TRAINING, neighbours: int = NEIGHBOURS) -> SPADE:
    method = SPADE(SPADE.Recipe(neighbours=neighbours), CPU)
    method.fit(training)
    return method


def images_of(maps: LayerMaps) -> list[list[np.ndarray]]:
    """Each image's layers ``(C, h, w)``."""
    layers = [layer.double().numpy() for layer in maps.layers()]
    return [[layer[i] for layer in layers] for i in range(len(maps))]


def naive_spade(
    image: list[np.ndarray], normal: list[list[np.ndarray]]
) -> tuple[float, np.ndarray]:
    """The image's score, and the distances of its pixels on the finest grid."""
    pooled = image[-1].mean(axis=(1, 2))
    distances = sorted(
        (math.dist(pooled, other[-1].mean(axis=(1, 2))), i) for i, other in enumerate(normal)
    )[:NEIGHBOURS]
    maps = []
    for number, layer in enumerate(image[:-1]):
        gallery = [
            normal[i][number][:, y, x]
            for _, i in distances
            for y in range(layer.shape[1])
            for x in range(layer.shape[2])
        ]
        found = [
            [min(math.dist(layer[:, y, x], pixel) for pixel in gallery) for x in range(w)]
            for h, w in [layer.shape[1:]]
            for y in range(h)
        ]
        grid = torch.tensor(found, dtype=torch.float64)[None, None]
        maps.append(interpolate(grid, image[0].shape[1:], mode="bilinear")[0, 0].numpy())
    return sum(distance for distance, _ in distances) / len(distances), np.mean(maps, axis=0)


def test_scores_are_those_of_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    # Blocks of few pixels, so that both sides cross their borders.
    monkeypatch.setattr(sys.modules[SPADE.__module__], "QUERIES", 7)
    monkeypatch.setattr(sys.modules[SPADE.__module__], "GALLERY", 10)
    found = fitted().score(TEST)
    normal = images_of(TRAINING.patches)
    for number, image in enumerate(images_of(TEST)):
        score, pixels = naive_spade(image, normal)
        assert found.images[number] == pytest.approx(score, rel=1e-5)
        np.testing.assert_allclose(found.patches[number], pixels, rtol=1e-4)


def test_a_training_image_is_scored_by_the_others() -> None:
    method = fitted()
    found = method.score_training(TRAINING)
    images = images_of(TRAINING.patches)
    for number, image in enumerate(images):
        score, pixels = naive_spade(image, images[:number] + images[number + 1 :])
        assert found.images[number] == pytest.approx(score, rel=1e-5)
        np.testing.assert_allclose(found.patches[number], pixels, rtol=1e-4)
        alone = method.score_left_out(TRAINING.patches[number : number + 1], number)
        assert np.array_equal(alone.patches[0], found.patches[number])
    assert np.array_equal(method.score_training(TRAINING, 2).images, found.images[:2])
    single = TrainingSet(made_up(1, 0), 0, "")
    with pytest.raises(InputError, match="two training images"):
        fitted(single).score_training(single)


def test_all_training_images_are_taken_where_there_are_no_more() -> None:
    assert np.array_equal(*(fitted(neighbours=k).score(TEST).images for k in (6, 50)))


def test_it_computes_on_a_gpu_as_on_the_cpu() -> None:
    expected = fitted().score(TEST)
    with PretendedGpu():
        method = SPADE(SPADE.Recipe(neighbours=NEIGHBOURS), torch.device("cuda:0"))
        method.fit(TRAINING)
        found = method.score(TEST)
    np.testing.assert_allclose(found.images, expected.images, rtol=1e-5)
    np.testing.assert_allclose(found.patches, expected.patches, rtol=1e-5)


def test_its_model_takes_the_bytes_of_the_training_maps() -> None:
    method = fitted()
    image = TRAINING.patches.packed.shape[1]
    needs = SPADE.needs(method.recipe, Sizes(6, 3, 1, image), on_gpu=False)
    assert needs.model_bytes == method.tensors()["packed"].nbytes


def test_one_layer_is_too_few() -> None:
    with pytest.raises(ValueError, match="SPADE needs two layers"):
        SPADE.Recipe.model_validate({"features": {"layers": [4]}})
