"""PNI against its paper's equations written out in double precision."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn.functional import cross_entropy

from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.methods.method import Sizes, TrainingSet
from reconpatch.methods.pni import PNI, held_out_images
from reconpatch.utils.epochs import Checkpoint
from reconpatch.utils.errors import InputError
from reconpatch.utils.live_bytes import LiveBytes
from tests.devices import PretendedGpu

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)
PLACES = RNG.normal(size=(1, 4, 5, 6))
# What is at a place is much the same in each image, so that places and neighbours tell something.
PATCHES = (PLACES + 0.4 * RNG.normal(size=(8, 4, 5, 6))).astype(np.float32)
TRAINING = TrainingSet(PATCHES, 3, "made up")
# And elsewhere in these.
TEST = np.roll(PATCHES[:3], 2, axis=2) + 0.2 * RNG.normal(size=(3, 4, 5, 6)).astype(np.float32)
Array = npt.NDArray[np.float64]


def unfitted(**settings: object) -> PNI:
    recipe = {
        "features": {"resize": 40, "crop": 40},
        "coreset_share": 0.2,
        "kinds": 20,
        "temperature": 0.5,
        "neighbourhood": 3,
        "layers": 1,
        "width": 16,
        "epochs": 4,
        "batch_size": 20,
        "learning_rate": 0.02,
        **settings,
    }
    return PNI(PNI.Recipe.model_validate(recipe), CPU)


def fitted(training: TrainingSet = TRAINING, **settings: object) -> PNI:
    method = unfitted(**settings)
    method.fit(training)
    return method


def naive_outputs(method: PNI, around: Array) -> Array:
    """The network's outputs, layer by layer."""
    state = {n: t.double().numpy() for n, t in method.network.layers.state_dict().items()}
    x, layers = around, method.recipe.layers
    for layer in range(layers):
        x = state[f"{3 * layer}.weight"] @ x + state[f"{3 * layer}.bias"]
        own = f"{3 * layer + 1}."
        variance = state[own + "running_var"] + 1e-5
        x = (x - state[own + "running_mean"]) / np.sqrt(variance)
        x = np.maximum(x * state[own + "weight"] + state[own + "bias"], 0)
    return state[f"{3 * layers}.weight"] @ x + state[f"{3 * layers}.bias"]


def naive_around(image: Array, y: int, x: int, absent: tuple[int, int]) -> Array:
    parts = []
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            if (dy, dx) != absent:
                there = 0 <= y + dy < 4 and 0 <= x + dx < 5
                parts.append(image[y + dy, x + dx] if there else np.zeros(6))
    return np.concatenate(parts)


def naive_scores(
    method: PNI, images: Array, without: int | None = None, absent: tuple[int, int] = (0, 0)
) -> tuple[Array, int]:
    """Patch scores by the equations, and how many patches had their nearest vector forbidden."""
    bank = method.vectors.double().numpy()
    kinds = bank[:20]

    def kind(vector: Array) -> int:
        return int(np.linalg.norm(kinds - vector, axis=1).argmin())

    others = [i for i in range(len(PATCHES)) if i != without]
    kept = [m for m in range(len(bank)) if int(method.owners[m]) != without]
    scores, forbidden = np.zeros(images.shape[:3]), 0
    for i, image in enumerate(images.astype(np.float64)):
        for y in range(4):
            for x in range(5):
                outputs = np.exp(naive_outputs(method, naive_around(image, y, x, absent)) / 0.5)
                by_neighbours = outputs / outputs.sum()
                by_place = np.zeros(20)
                for other in others:
                    by_place[kind(PATCHES[other, y, x])] += 1 / len(others)
                p = (by_neighbours + by_place) / 2
                likely = [m for m in kept if p[kind(bank[m])] > 1 / (2 * len(bank))]
                if not likely:
                    most = max(p[kind(bank[m])] for m in kept)
                    likely = [m for m in kept if p[kind(bank[m])] == most]
                likelihoods = {m: np.exp(-np.linalg.norm(image[y, x] - bank[m])) for m in kept}
                scores[i, y, x] = -np.log(max(likelihoods[m] for m in likely))
                forbidden += max(likelihoods.values()) > max(likelihoods[m] for m in likely)
    return scores, forbidden


@pytest.mark.parametrize(("left_out", "absent"), [("centre", (0, 0)), ("right_of_centre", (0, 1))])
def test_scores_are_those_of_the_equations(left_out: str, absent: tuple[int, int]) -> None:
    method = fitted(left_out=left_out, layers=2)
    expected, forbidden = naive_scores(method, TEST, absent=absent)
    assert 3 < forbidden < 55
    found = method.score(TEST)
    np.testing.assert_allclose(found.patches, expected, rtol=1e-4)
    smooth = anomaly_maps(expected.astype(np.float32), 40, method.recipe.maps)
    np.testing.assert_allclose(found.images, smooth.max(axis=(1, 2)), rtol=1e-4)


def test_a_training_image_is_scored_without_its_vectors_and_its_part_in_the_places() -> None:
    method = fitted()
    found = method.score_training(TRAINING, images=4)
    for image in range(4):
        alone = PATCHES[image : image + 1]
        expected, _ = naive_scores(method, alone, without=image)
        np.testing.assert_allclose(found.patches[image], expected[0], rtol=1e-4)
        assert np.array_equal(method.score_left_out(alone, image).patches[0], found.patches[image])


def test_the_network_is_that_of_the_epoch_which_held_out_images_like_best() -> None:
    method = unfitted(epochs=12, learning_rate=0.1)
    held = held_out_images(method.recipe, 8, 3)
    assert held.sum() == 1
    rows = torch.from_numpy(np.flatnonzero(held.repeat(20)))
    features = torch.from_numpy(PATCHES.reshape(-1, 6))
    judged, kept = [], []
    for _ in method.fit_epochs(TRAINING):
        outputs = method.network(features, rows, (4, 5))
        judged.append(cross_entropy(outputs, method.seen.flatten().long()[rows]).item())
        kept.append(method.network.layers[0].weight.clone())
    assert judged == sorted(judged, reverse=True)
    changes = [not torch.equal(a, b) for a, b in pairwise(kept)]
    assert any(changes)
    assert not all(changes)


def test_the_same_patches_score_higher_elsewhere() -> None:
    method = fitted(epochs=20, decay_epochs=20)
    features = torch.from_numpy(PATCHES.reshape(-1, 6))
    kinds = method.network(features, torch.arange(len(features)), (4, 5)).argmax(dim=1)
    assert (kinds == method.seen.flatten()).float().mean() > 0.5
    elsewhere = method.score(np.roll(PATCHES, 2, axis=2)).patches
    assert elsewhere.mean() > 1.03 * method.score(PATCHES).patches.mean()


def test_a_training_that_was_killed_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "this")
    unbroken, killed, resumed = fitted(), unfitted(), unfitted()
    epochs = killed.fit_epochs(TRAINING, checkpoint)
    assert [next(epochs), next(epochs)] == [1, 2]
    epochs.close()
    assert list(resumed.fit_epochs(TRAINING, checkpoint)) == [2, 3, 4]
    found = resumed.tensors()
    assert all(torch.equal(found[name], kept) for name, kept in unbroken.tensors().items())
    other = fitted(TrainingSet(PATCHES, 4, ""))
    assert not torch.equal(other.network.layers[0].weight, unbroken.network.layers[0].weight)


def test_half_precision_is_widened_and_one_image_is_too_few() -> None:
    half = PATCHES.astype(np.float16)
    scores = [
        fitted(TrainingSet(patches, 3, "")).score(TEST).patches
        for patches in (half, half.astype(np.float32))
    ]
    assert np.array_equal(*scores)
    with pytest.raises(InputError, match="two training images"):
        fitted(TrainingSet(PATCHES[:1], 0, ""))
    with pytest.raises(ValueError, match="must be odd"):
        unfitted(neighbourhood=4)


def test_it_scores_on_a_gpu_as_on_the_cpu() -> None:
    expected = fitted()
    with torch.inference_mode(), PretendedGpu():
        method = PNI(expected.recipe, torch.device("cuda:0"))
        method.load(expected.tensors())
        for ours, theirs in (
            (method.score(TEST), expected.score(TEST)),
            (method.score_training(TRAINING), expected.score_training(TRAINING)),
        ):
            np.testing.assert_allclose(ours.patches, theirs.patches, rtol=1e-5)


def test_it_takes_what_it_says() -> None:
    method = unfitted(width=64, layers=3, batch_size=60)
    with LiveBytes() as live:
        method.fit(TRAINING)
    needs = PNI.needs(method.recipe, Sizes(8, 3, 20, 6), on_gpu=False)
    assert needs.steps == 2 * method.recipe.epochs
    assert needs.model_bytes == sum(tensor.nbytes for tensor in method.tensors().values())
    # The patches themselves are there before; the coreset's products have 8 MiB of their own.
    features = 4 * PATCHES.size
    training = needs._replace(working_bytes=needs.working_bytes - features)
    assert training.working_bytes > live.peak
