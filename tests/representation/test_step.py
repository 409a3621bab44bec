"""The training step, on devices of every kind but a real GPU."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR

from reconpatch.representation.captured_step import WARM_UP, CapturedStep
from reconpatch.representation.networks import RepresentationNetwork, update_average
from reconpatch.representation.similarity import label_spread
from reconpatch.representation.step import TrainingStep, cosine
from reconpatch.representation.step_memory import step_memory
from reconpatch.settings.representation import RepresentationSettings
from tests.devices import DeviceGuard
from tests.representation.pretended_cuda import CUDAGraph, pretend_graphs

CPU = torch.device("cpu")
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "wide f": {"dimension": 1024},
    "ensemble": {"dimension": 384, "projection_dimension": 256, "learning_rate": 1e-6},
    "no g": {"projection_dimension": None},
    "other sets": {
        "sigma_unit": "mean_squared_distance",
        "neighbour_set": "reciprocal",
        "half_set": "nearest",
        "include_self": False,
    },
    "other loss": {"loss_reduction": "pairs", "detach_mean_distance": True, "nesterov": False},
    "scaled": {"input_scaling": "per_channel"},
    "small mini-batch": {"batch_size": 64},
}
SMALL = {"dimension": 12, "projection_dimension": 10, "batch_size": 40, "learning_rate": 1e-3}


def step_on(
    device: torch.device | str,
    inputs: int,
    settings: RepresentationSettings,
    without_reads: bool = True,
) -> TrainingStep:
    with torch.device(device):
        network = RepresentationNetwork(inputs, settings, seed=0)
    scaling = None
    if settings.input_scaling != "none":
        scaling = (
            torch.full((inputs,), 0.5, device=device),
            torch.full((inputs,), 2.0, device=device),
        )
    rates = cosine(settings.learning_rate, 20)
    return TrainingStep(network, settings, rates, scaling, without_reads=without_reads)


def lasting(step: TrainingStep) -> list[Tensor]:
    """What there is of a step before it is taken."""
    optimizer: Any = step.optimizer
    return [
        *step.network.parameters(),
        *step.average.parameters(),
        *optimizer.means,
        *optimizer.squares,
    ]


def batches(count: int, settings: RepresentationSettings, inputs: int) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randn(count, settings.batch_size, inputs, generator=rng)


@pytest.mark.parametrize("inputs", [1536, 1792])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_whole_step_at_real_size_stays_on_its_device_and_reads_nothing(
    variant: str, inputs: int
) -> None:
    """On the device without values, where reading one is impossible; gradients and all.

    1,536 are the dimensions of layers 2 and 3 of WRN-50 and WRN-101, 1,792 of layers 1 to 3.
    """
    settings = RepresentationSettings(**VARIANTS[variant])
    step = step_on("meta", inputs, settings)
    batch = torch.empty(settings.batch_size, inputs, device="meta")
    with DeviceGuard("meta", batch, *lasting(step)) as guard:
        for _ in range(2):
            step(batch)
        label_spread(step.labels)
    assert guard.operations > 400
    stated = step_memory(inputs, settings)
    assert 0.8 * stated < guard.peak["meta"] < stated


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("scaling", ["none", "per_channel"])
def test_half_precision_and_scaling_keep_within_the_stated_memory(
    dtype: torch.dtype, scaling: Any
) -> None:
    settings = RepresentationSettings(
        dimension=64,
        projection_dimension=64,
        batch_size=256,
        mixed_precision=True,
        input_scaling=scaling,
    )
    step = step_on("cpu", 192, settings)
    batch = batches(1, settings, 192)[0].to(dtype)
    with DeviceGuard("cpu", batch, *lasting(step)) as guard:
        for _ in range(2):
            step(batch)
    assert guard.peak["cpu"] < step_memory(192, settings)


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
@pytest.mark.parametrize("inputs", [1536, 1792])
@pytest.mark.parametrize("variant", VARIANTS)
def test_on_a_pretended_gpu_all_but_the_backward_pass_stays_there(
    variant: str, inputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch cannot differentiate there without CUDA: gradients are made up."""
    # A copied tensor would have a mode of its own.
    monkeypatch.setattr(FakeTensorMode, "__deepcopy__", lambda mode, memo: mode, raising=False)
    settings = RepresentationSettings(initialization="uniform", **VARIANTS[variant])
    with FakeTensorMode():
        step = step_on("cuda", inputs, settings)
        batch = torch.empty(settings.batch_size, inputs, device="cuda", dtype=torch.float16)
        with DeviceGuard("cuda", batch, *lasting(step)) as guard:
            where = step.loss(batch).device
            for p in step.network.parameters():
                p.grad = torch.empty_like(p)
            step.optimizer.step()
            update_average(step.average, step.network, settings.ema_momentum)
            spread = label_spread(step.labels)
    assert {where.type, spread.device.type, step.labels.device.type} == {"cuda"}
    assert step.labels.shape == (settings.batch_size, settings.batch_size)
    assert guard.peak["cuda"] < step_memory(inputs, settings)


@pytest.mark.parametrize("variant", VARIANTS)
def test_reading_nothing_changes_no_more_than_rounding(variant: str) -> None:
    settings = RepresentationSettings(**VARIANTS[variant] | SMALL)
    usual = step_on("cpu", 16, settings, without_reads=False)
    unread = step_on("cpu", 16, settings)
    drawn = batches(20, settings, 16)
    with DeviceGuard("cpu"):
        for batch in drawn:
            unread(batch)
    for batch in drawn:
        usual(batch)
    # Biases have no gradient but rounding.
    torch.testing.assert_close(
        unread.network.f.weight, usual.network.f.weight, rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(unread.total, usual.total, rtol=1e-5, atol=0)


def state(step: TrainingStep) -> list[Tensor]:
    return [*lasting(step), step.total, step.labels]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_graph_repeats_the_steps_bit_for_bit(
    variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies in tensors is all that a step knows: not its number, its rate, its mini-batch."""
    made = pretend_graphs(monkeypatch)
    settings = RepresentationSettings(**VARIANTS[variant] | SMALL)
    plain, step = step_on("cpu", 16, settings), step_on("cpu", 16, settings)
    captured = CapturedStep(step, CPU)
    for taken, batch in enumerate(batches(20, settings, 16), 1):
        plain(batch)
        captured(batch.clone())
        assert all(torch.equal(p, q) for p, q in zip(state(plain), state(step), strict=True)), taken
        if taken == 10:
            # As at the end of an epoch.
            plain.total.zero_()
            step.total.zero_()
    (graph,) = made
    assert graph.replays == 20 - WARM_UP


def test_a_step_that_cannot_be_captured_goes_on_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_graphs(monkeypatch)
    monkeypatch.setattr(CUDAGraph, "refuses", "topk")
    settings = RepresentationSettings(**SMALL)
    plain, step = step_on("cpu", 16, settings), step_on("cpu", 16, settings)
    captured = CapturedStep(step, CPU)
    *first, fourth = batches(WARM_UP + 1, settings, 16)
    for batch in first:
        captured(batch)
    with pytest.warns(UserWarning, match=r"without a CUDA graph: operation not permitted .*ing$"):
        captured(fourth)
    for batch in batches(20, settings, 16)[WARM_UP + 1 :]:
        captured(batch)
    for batch in batches(20, settings, 16):
        plain(batch)
    assert all(torch.equal(p, q) for p, q in zip(state(plain), state(step), strict=True))


@pytest.mark.parametrize("steps", [0, 1, 2, 7, 500])
def test_the_cosine_has_the_bits_of_torch(steps: int) -> None:
    optimizer = SGD([torch.zeros(1)], lr=1e-5)
    scheduler = CosineAnnealingLR(optimizer, max(1, steps))
    rates = [scheduler.get_last_lr()[0]]
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
        rates.append(scheduler.get_last_lr()[0])
    assert cosine(1e-5, steps) == rates


@pytest.mark.parametrize(
    "mistake",
    [
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).all()),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x.unique(),
        lambda x: x.masked_select(x > 0),
        lambda x: torch.equal(x, x),
        lambda x: x[torch.tensor(0)],
    ],
)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_guard_finds_what_waits_for_a_device(mistake: Any, device: str) -> None:
    x = torch.ones(4, 4, device=device)
    with pytest.raises((AssertionError, RuntimeError, NotImplementedError)), DeviceGuard(device):
        mistake(x)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda x: x + torch.ones(4, 4),
        lambda x: x * torch.tensor(2.0),
        lambda x: x.index_select(0, torch.tensor([0])),
        lambda x: torch._foreach_lerp_([x], [torch.ones(4, 4)], 0.5),
        lambda x: x.copy_(torch.ones(4, 4)),
        lambda x: torch.arange(4),
    ],
)
def test_the_guard_finds_a_tensor_elsewhere(mistake: Any) -> None:
    x = torch.ones(4, 4, device="meta")
    with pytest.raises((AssertionError, RuntimeError)), DeviceGuard("meta"):
        mistake(x)
