import copy
import math
import tracemalloc
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from adamp import AdamP

from reconpatch.representation.linear_maps import linear_map
from reconpatch.representation.networks import RepresentationNetwork
from reconpatch.representation.training import ROWS, _deviation, epoch_order, learn, train
from reconpatch.settings.representation import LinearMapSettings, RepresentationSettings
from reconpatch.utils.devices import captures_graphs, set_up_torch
from reconpatch.utils.errors import InputError
from tests import naive
from tests.devices import DeviceGuard

CPU = torch.device("cpu")
SMALL = RepresentationSettings(
    dimension=5, projection_dimension=4, epochs=3, batch_size=32, learning_rate=1e-2, k=4
)


def random_patches(*shape: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("momentum", [1.0, 0.5, 0.0])
def test_training_takes_the_steps_that_the_equations_give(momentum: float) -> None:
    """A second training loop, on the naive equations; one mini-batch holds all patches.

    With momentum 1 the labels stay those of the initial network, with 0 they are the trained one's.
    """
    steps, k, sigma, alpha, margin, rate = 6, 5, 2.0, 0.4, 1.1, 0.05
    chosen = RepresentationSettings(
        dimension=4,
        projection_dimension=3,
        epochs=steps,
        batch_size=12,
        learning_rate=rate,
        weight_decay=0.1,
        k=k,
        sigma=sigma,
        alpha=alpha,
        margin=margin,
        ema_momentum=momentum,
    )
    patches = random_patches(2, 2, 3, 6).astype(np.float64)
    rows = torch.from_numpy(patches.reshape(12, 6))
    with naive.double_precision():
        trained, history = train(patches, chosen, seed=3, device=CPU)

        network = RepresentationNetwork(6, chosen, seed=3)
        average = copy.deepcopy(network)
        initial = network.f.weight.detach().clone()
        optimizer = AdamP(network.parameters(), lr=rate, weight_decay=0.1, nesterov=True)
        losses = []
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = rate * (1 + math.cos(math.pi * step / steps)) / 2
            zbar = average(rows).tolist()
            labels = naive.eq6_pseudo_labels(
                naive.eq1_pairwise_similarity(zbar, sigma),
                naive.contextual_similarity(zbar, k, math.ceil(k / 2), include_self=True),
                alpha,
            )
            loss = naive.eq7_relaxed_contrastive_loss(network(rows), labels, margin)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            with torch.no_grad():
                for old, new in zip(average.parameters(), network.parameters(), strict=True):
                    moved = naive.eq8_moving_average(
                        old.flatten().tolist(), new.flatten().tolist(), momentum
                    )
                    old.copy_(torch.tensor(moved).view_as(old))
    # The biases have no gradient but rounding, as the loss knows only differences.
    torch.testing.assert_close(trained.f.weight, network.f.weight, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(trained.g.weight, network.g.weight, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-9)
    assert (trained.f.weight - initial).abs().max() > 0.01


def test_the_averaged_network_gives_the_labels_from_the_second_step_on() -> None:
    patches = random_patches(2, 4, 4, 8)
    one_step = SMALL.model_copy(update={"epochs": 1})
    weights = {
        (chosen.epochs, momentum): train(
            patches, chosen.model_copy(update={"ema_momentum": momentum}), seed=0, device=CPU
        )[0].f.weight
        for chosen in (one_step, SMALL)
        for momentum in (0.0, 1.0)
    }
    assert torch.equal(weights[1, 0.0], weights[1, 1.0])
    assert not torch.equal(weights[3, 0.0], weights[3, 1.0])


def test_a_seed_repeats_its_weights_bit_for_bit_and_leaves_the_global_state() -> None:
    patches = random_patches(4, 6, 6, 8)
    state = torch.get_rng_state()
    first, history = train(patches, SMALL, seed=1, device=CPU)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    again, history_again = train(patches, SMALL, seed=1, device=CPU)
    other, _ = train(patches, SMALL, seed=2, device=CPU)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    assert history.equals(history_again)
    assert not torch.equal(first.f.weight, other.f.weight)


def test_the_history_has_an_epoch_a_row_and_one_cosine_to_zero() -> None:
    chosen = SMALL.model_copy(update={"epochs": 5})
    # 144 patches make four mini-batches and a rest that is left out.
    _, history = train(random_patches(4, 6, 6, 8), chosen, seed=0, device=CPU)
    assert history["epoch"].tolist() == [1, 2, 3, 4, 5]
    cosine = [chosen.learning_rate * (1 + math.cos(math.pi * e / 5)) / 2 for e in range(1, 6)]
    np.testing.assert_allclose(history["learning_rate"], cosine, rtol=1e-9, atol=1e-12)
    assert np.isfinite(history["loss"]).all()
    # Raw features are far apart in units of sigma: half of Eq. 6 is zero, and none is near one.
    assert (history["labels_near_zero"] > 0.5).all()
    assert (history["labels_near_one"] == 0).all()


def test_the_loss_over_pairs_is_that_over_rows_by_the_mini_batch() -> None:
    patches = random_patches(2, 4, 4, 8)
    of_pairs = SMALL.model_copy(update={"epochs": 1, "loss_reduction": "pairs"})
    _, rows = train(patches, SMALL.model_copy(update={"epochs": 1}), seed=0, device=CPU)
    _, pairs = train(patches, of_pairs, seed=0, device=CPU)
    np.testing.assert_allclose(pairs["loss"] * 32, rows["loss"], rtol=1e-6)


class Recording(np.ndarray):
    """An array that keeps what is read from it with a list of rows."""

    read: list[npt.NDArray[np.float32]]

    def __getitem__(self, key: object) -> object:
        found = super().__getitem__(key)
        if isinstance(key, np.ndarray):
            Recording.read.append(np.asarray(found))
        return found


def test_an_epoch_draws_patches_of_all_images_once_in_another_order_each() -> None:
    Recording.read = []
    patches = random_patches(4, 6, 6, 8)
    train(patches.view(Recording), SMALL, seed=0, device=CPU)
    number = {row.tobytes(): i for i, row in enumerate(patches.reshape(-1, 8))}
    batches = [[number[row.tobytes()] for row in batch] for batch in Recording.read]
    assert [len(batch) for batch in batches] == [32] * 12
    epochs = [[i for batch in batches[start : start + 4] for i in batch] for start in (0, 4, 8)]
    assert all(len(set(epoch)) == 128 for epoch in epochs)
    assert epochs[0] != epochs[1]
    # Each mini-batch has patches of every image, of 36 patches each.
    assert all({i // 36 for i in batch} == {0, 1, 2, 3} for batch in batches)


@pytest.mark.parametrize("chosen", [{}, {"sampling": "images", "input_scaling": "per_channel"}])
def test_training_as_on_a_gpu_reads_once_an_epoch_and_comes_to_the_same(chosen: Any) -> None:
    patches = random_patches(4, 6, 6, 8)
    settings = SMALL.model_copy(update=chosen)
    usual, history = train(patches, settings, seed=0, device=CPU)
    with DeviceGuard("cpu"):
        # What is read at the end of an epoch, the guard cannot see on a CPU.
        other, other_history = train(patches, settings, seed=0, device=CPU, _on_gpu=True)
    torch.testing.assert_close(other.f.weight, usual.f.weight, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(other.g.weight, usual.g.weight, rtol=1e-4, atol=1e-4)
    pd.testing.assert_frame_equal(other_history, history, rtol=1e-4)


@pytest.mark.parametrize("chosen", [{}, {"projection_dimension": None}])
def test_all_of_an_epoch_is_on_the_device_until_its_end_is_read(chosen: Any) -> None:
    """A device without values takes every step, and fails where the host asks for one."""
    settings = SMALL.model_copy(update={"input_scaling": "per_channel", **chosen})
    with pytest.raises(NotImplementedError, match="no data") as error:
        train(random_patches(4, 6, 6, 8), settings, 0, device=torch.device("meta"), _on_gpu=True)
    (inside,) = (entry for entry in error.traceback if entry.name == "train")
    assert "step.total" in str(inside.statement)
    assert "tolist" in str(inside.statement)


def test_what_is_learned_lies_on_the_device_that_was_asked_for() -> None:
    untrained = SMALL.model_copy(update={"epochs": 0})
    patches, meta = random_patches(4, 6, 6, 8), torch.device("meta")
    learned = learn(patches, untrained, 0, device=meta, description="")
    assert {tensor.device for tensor in learned.tensors["representation"].values()} == {meta}


def test_too_few_patches_for_a_mini_batch_are_refused() -> None:
    with pytest.raises(InputError, match=r"31 patches.*32"):
        train(random_patches(1, 1, 31, 8), SMALL, seed=0, device=CPU)


def test_features_that_are_not_finite_end_the_training() -> None:
    patches = random_patches(4, 6, 6, 8)
    patches[1] = np.nan
    with pytest.raises(InputError, match="not finite"):
        train(patches, SMALL, seed=0, device=CPU)


def test_mixed_precision_trains_nearly_the_same_and_keeps_single_precision_weights() -> None:
    patches = random_patches(4, 6, 6, 8)
    exact, history = train(patches, SMALL, seed=0, device=CPU)
    mixed_settings = SMALL.model_copy(update={"mixed_precision": True})
    mixed, mixed_history = train(patches, mixed_settings, seed=0, device=CPU)
    assert mixed.f.weight.dtype == torch.float32
    assert not torch.equal(exact.f.weight, mixed.f.weight)
    # bfloat16 has eight bits: embeddings and with them distances are off by half a percent.
    np.testing.assert_allclose(mixed_history["loss"], history["loss"], rtol=0.01)


@pytest.mark.parametrize("sampling", ["patches", "images", "positions"])
def test_an_epoch_has_every_patch_once(sampling: Any) -> None:
    order = epoch_order(5, 7, sampling, np.random.default_rng(0))
    assert sorted(order) == list(range(35))
    assert list(order) != list(range(35))


def test_sampling_keeps_an_image_or_a_place_together() -> None:
    by_image = epoch_order(5, 7, "images", np.random.default_rng(0)).reshape(5, 7)
    assert (by_image // 7 == by_image[:, :1] // 7).all()
    by_place = epoch_order(5, 7, "positions", np.random.default_rng(0)).reshape(7, 5)
    assert (by_place % 7 == by_place[:, :1] % 7).all()


def test_scaled_training_gives_a_layer_for_patches_as_they_are() -> None:
    """Channels in other units are the same patches once scaled, so f comes to the same output."""
    rng = np.random.default_rng(0)
    patches = rng.normal(size=(4, 6, 6, 8)).astype(np.float32)
    units = np.linspace(0.5, 20, 8, dtype=np.float32)
    settings = RepresentationSettings(
        dimension=4, projection_dimension=4, epochs=2, batch_size=32, input_scaling="per_channel"
    )
    outputs = []
    for each in (patches, patches * units + 3):
        network, _ = train(each, settings, 0, device=torch.device("cpu"))
        with torch.no_grad():
            outputs.append(network.f(torch.from_numpy(each)).numpy())
    np.testing.assert_allclose(*outputs, atol=1e-3)


def test_without_epochs_f_is_as_it_was_drawn_or_turned_to_the_components() -> None:
    patches = np.random.default_rng(0).normal(size=(4, 6, 6, 8)).astype(np.float32)
    drawn = RepresentationSettings(dimension=4, projection_dimension=4, epochs=0, batch_size=32)
    network, history = train(patches, drawn, 3, device=torch.device("cpu"))
    untouched = RepresentationNetwork(8, drawn, 3)
    torch.testing.assert_close(network.f.weight, untouched.f.weight)
    assert len(history) == 0
    turned = drawn.model_copy(update={"initialization": "principal_components"})
    network, _ = train(patches, turned, 3, device=torch.device("cpu"))
    components = LinearMapSettings(kind="principal_components", dimension=4)
    torch.testing.assert_close(network.f.weight, linear_map(patches, components, 0).weight)


@pytest.mark.parametrize(("asked", "captures"), [("off", False), ("auto", True)])
def test_a_process_is_told_whether_to_capture_graphs(asked: Any, captures: bool) -> None:
    set_up_torch("cpu", torch.get_num_threads(), cuda_graph=asked)
    assert captures_graphs() == captures


@pytest.mark.parametrize("stored", [np.float32, np.float16])
@pytest.mark.parametrize("rows", [7, 2048, 5000])
def test_deviations_are_numpys_bit_by_bit_without_its_copies(rows: int, stored: type) -> None:
    flat = np.random.default_rng(0).normal(3, 2, size=(rows, 37)).astype(stored)
    mean = flat.mean(axis=0, dtype=np.float64)
    tracemalloc.start()
    found = _deviation(flat, mean)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.array_equal(found, flat.std(axis=0, dtype=np.float64))
    assert peak < 3.5 * 8 * 37 * min(rows, ROWS) + 50_000
