"""CFLOW-AD against its equations written out in double precision."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from reconpatch.features.layer_maps import LayerMaps
from reconpatch.methods.cflow import CFLOW, positions
from reconpatch.methods.method import Sizes, TrainingSet
from reconpatch.utils.epochs import Checkpoint
from tests.methods.layer_maps import SHAPES, made_up

CPU = torch.device("cpu")
TRAINING, TEST = TrainingSet(made_up(7, 0), 3, "made up"), made_up(3, 1)


def unfitted(**settings: object) -> CFLOW:
    recipe = {
        "features": {"resize": 40, "crop": 40},
        "blocks": 2,
        "place_channels": 8,
        "epochs": 3,
        "batch_size": 3,
        "vectors": 10,
        "learning_rate": 0.02,
        "meta_epoch": 1,
        "warm_up": 1,
        **settings,
    }
    return CFLOW(CFLOW.Recipe.model_validate(recipe), CPU)


def fitted(training: TrainingSet = TRAINING, **settings: object) -> CFLOW:
    method = unfitted(**settings)
    method.fit(training)
    return method


def naive_place(y: int, x: int, channels: int) -> np.ndarray:
    """The place's channels by the formula of positional encoding, one by one."""
    half = channels // 2
    found = []
    for position in (x, y):
        for i in range(half // 2):
            angle = position / 10_000 ** (2 * i / half)
            found += [math.sin(angle), math.cos(angle)]
    return np.array(found)


def naive_likelihoods(flow: nn.Module, layer: np.ndarray) -> np.ndarray:
    """Log-likelihoods ``(N, h, w)``, a channel, one vector after the other."""
    count, channels, h, w = layer.shape
    found = np.zeros((count, h, w))
    for i in range(count):
        for y in range(h):
            for x in range(w):
                z = torch.from_numpy(layer[i, :, y, x])[None]
                place = torch.from_numpy(naive_place(y, x, 8))[None]
                log_determinant = 0.0
                for block in flow.blocks:
                    z, own = block(z, place)
                    log_determinant += own.item()
                density = -0.5 * z.square().sum().item() - channels / 2 * math.log(2 * math.pi)
                found[i, y, x] = (density + log_determinant) / channels
    return found


def test_places_are_told_by_sines_and_cosines() -> None:
    found = positions(8, 3, 5).numpy()
    for y in range(3):
        for x in range(5):
            np.testing.assert_allclose(found[:, y, x], naive_place(y, x, 8), atol=1e-6)


def test_scores_are_those_of_the_equations() -> None:
    method = fitted()
    network = method.network.double()
    expected = np.zeros((3, 4, 6))
    kept = network.get_buffer("highest").tolist()
    for flow, own, others, most in zip(
        network, TEST.layers(), TRAINING.patches.layers(), kept, strict=True
    ):
        highest = naive_likelihoods(flow, others.double().numpy()).max()
        assert most == pytest.approx(highest, rel=1e-5)
        scores = np.exp(naive_likelihoods(flow, own.double().numpy()) - most)
        h, w = scores.shape[1:]
        for y in range(4):
            for x in range(6):
                down = np.clip((y + 0.5) * h / 4 - 0.5, 0, h - 1)
                right = np.clip((x + 0.5) * w / 6 - 0.5, 0, w - 1)
                for i in range(h):
                    for j in range(w):
                        weight = max(0, 1 - abs(down - i)) * max(0, 1 - abs(right - j))
                        expected[:, y, x] += weight * scores[:, i, j] / 3
    found = method.patch_scores([layer.double() for layer in TEST.layers()])
    np.testing.assert_allclose(found.detach().numpy(), 1 - expected, rtol=1e-5)


def test_each_step_takes_vectors_of_one_layer_with_their_places() -> None:
    method = fitted()
    network = method.network.double()
    maps = [layer.double() for layer in TEST.layers()]
    losses = [loss.item() for loss in method.losses(maps, np.random.default_rng(5))]
    # Of 72, 18 and 6 vectors, 10 at a time or all.
    assert len(losses) == 7 + 1 + 1
    order = np.random.default_rng(5).permutation(72)
    first = naive_likelihoods(network[0], maps[0].numpy()).ravel()
    for step in range(7):
        likelihoods = first[order[10 * step : 10 * step + 10]]
        expected = np.mean(np.log(1 + np.exp(-likelihoods)))
        assert losses[step] == pytest.approx(expected, rel=1e-5)
    last = naive_likelihoods(network[2], maps[2].numpy())
    assert losses[8] == pytest.approx(np.mean(np.log(1 + np.exp(-last))), rel=1e-5)


def test_the_rate_warms_up_and_falls_from_meta_epoch_to_meta_epoch() -> None:
    method = unfitted(learning_rate=2e-4, epochs=200, meta_epoch=8, warm_up=2)

    def cosine(meta: int) -> float:
        return 2e-7 + (2e-4 - 2e-7) * (1 + math.cos(math.pi * meta / 25)) / 2

    assert method.rate(0) == pytest.approx(2e-5)
    assert method.rate(8) == pytest.approx((2e-5 + cosine(2)) / 2)
    assert method.rate(16) == pytest.approx(cosine(2))
    assert method.rate(23.9) == method.rate(16)
    assert method.rate(24) == pytest.approx(cosine(3))
    assert method.rate(199.99) == pytest.approx(cosine(24))
    assert unfitted(warm_up=0, epochs=4).rate(0) == 0.02
    rates = []

    class Watched(CFLOW):
        def schedule(self, optimizer: torch.optim.Optimizer, epochs: float) -> None:
            super().schedule(optimizer, epochs)
            rates.append(optimizer.param_groups[0]["lr"])

    watched = Watched(unfitted(epochs=2).recipe, CPU)
    watched.fit(TRAINING)
    assert rates == [watched.rate(epochs) for epochs in (0, 0.5, 1, 1.5)]


def test_a_vector_out_of_place_scores_higher() -> None:
    places = made_up(1, 0)

    def images(count: int, seed: int) -> LayerMaps:
        return LayerMaps(places.packed + 0.1 * made_up(count, seed).packed, SHAPES)

    training = TrainingSet(images(16, 1), 0, "made up")
    method = fitted(training, epochs=60, batch_size=16, vectors=64, warm_up=0)
    normal = images(4, 2)
    moved = [layer.flip(3) for layer in normal.layers()]
    scores = method.patch_scores(moved)
    assert scores.mean() > method.patch_scores(normal.layers()).mean() + 0.1


def test_a_training_that_was_killed_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "this")
    unbroken, killed, resumed = fitted(), unfitted(), unfitted()
    epochs = killed.fit_epochs(TRAINING, checkpoint)
    assert next(epochs) == 1
    epochs.close()
    assert list(resumed.fit_epochs(TRAINING, checkpoint)) == [1, 2, 3]
    found = resumed.tensors()
    assert all(torch.equal(found[name], kept) for name, kept in unbroken.tensors().items())


def test_it_takes_what_it_says() -> None:
    method = fitted(batch_size=6, vectors=12)
    sizes = Sizes(7, 3, 24, made_up(1, 0).packed.shape[1] // 24, SHAPES)
    needs = CFLOW.needs(method.recipe, sizes, on_gpu=False)
    # As a whole mini-batch takes it.
    whole = super(CFLOW, CFLOW).needs(method.recipe, sizes, on_gpu=False)
    assert needs.steps == whole.steps == 3 * (12 + 3 + 1)
    assert needs.model_bytes == sum(tensor.nbytes for tensor in method.tensors().values())
    assert 0.9 * whole.working_bytes < needs.working_bytes < 1.1 * whole.working_bytes
