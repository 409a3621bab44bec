"""What only a real GPU can show. `pytest -m gpu` runs these alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch

from reconpatch.representation.captured_step import WARM_UP, CapturedStep
from reconpatch.representation.networks import RepresentationNetwork
from reconpatch.representation.patch_reader import PatchReader, ResidentReader, StreamingReader
from reconpatch.representation.step import TrainingStep, cosine
from reconpatch.representation.step_memory import step_memory
from reconpatch.representation.training import train
from reconpatch.settings.representation import RepresentationSettings
from reconpatch.utils.devices import set_up_torch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
VARIANTS: list[dict[str, Any]] = [
    {},
    {"projection_dimension": None, "sampling": "images"},
    {"sigma_unit": "mean_squared_distance", "neighbour_set": "reciprocal"},
    {"input_scaling": "per_channel", "mixed_precision": True},
]
INPUTS, STEPS = 1536, 20


@pytest.fixture(scope="module")
def gpu() -> torch.device:
    return set_up_torch("cuda", 2)


@contextmanager
def without_waits() -> Iterator[None]:
    """CUDA itself says where the host waits for it."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def patches(steps: int = STEPS) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(steps, 32, 32, INPUTS)).astype(np.float32)


@pytest.mark.parametrize("chosen", VARIANTS)
def test_a_graph_trains_as_the_eager_steps_do(chosen: dict[str, Any], gpu: torch.device) -> None:
    settings = RepresentationSettings(epochs=2, learning_rate=1e-3, **chosen)
    graph, history = train(patches(), settings, 0, device=gpu)
    eager, eager_history = train(patches(), settings, 0, device=gpu, cuda_graph=False)
    for name, tensor in graph.state_dict().items():
        assert torch.equal(tensor, eager.state_dict()[name]), name
    pd.testing.assert_frame_equal(history, eager_history, check_exact=True)


@pytest.mark.parametrize("chosen", VARIANTS)
def test_a_gpu_trains_as_a_cpu_does(chosen: dict[str, Any], gpu: torch.device) -> None:
    settings = RepresentationSettings(epochs=1, **chosen)
    there, history = train(patches(), settings, 0, device=gpu)
    here, cpu_history = train(patches(), settings, 0, device=torch.device("cpu"))
    moved = (here.f.weight - RepresentationNetwork(INPUTS, settings, 0).f.weight).norm()
    tolerance = 0.1 if settings.mixed_precision else 0.01
    assert (there.f.weight.cpu() - here.f.weight).norm() < tolerance * moved
    np.testing.assert_allclose(history["loss"], cpu_history["loss"], rtol=1e-3)


@pytest.mark.parametrize("chosen", VARIANTS)
@pytest.mark.parametrize("captures", [False, True])
@pytest.mark.parametrize("streams", [False, True])
def test_no_step_waits_and_memory_is_as_stated(
    chosen: dict[str, Any], captures: bool, streams: bool, gpu: torch.device
) -> None:
    settings = RepresentationSettings(**chosen)
    flat = patches().reshape(-1, INPUTS)
    order = np.random.default_rng(1).permutation(len(flat)).reshape(STEPS, -1)
    reader: PatchReader = ResidentReader(flat, gpu)
    if streams:
        reader = StreamingReader(flat, settings.batch_size, gpu)
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    network = RepresentationNetwork(INPUTS, settings, 0).to(gpu)
    scaling = None
    if settings.input_scaling != "none":
        scaling = torch.zeros(INPUTS, device=gpu), torch.ones(INPUTS, device=gpu)
    step = TrainingStep(network, settings, cosine(1e-5, STEPS), scaling, without_reads=True)
    take = CapturedStep(step, gpu) if captures else step
    batches = reader.epoch(order)
    # The first steps set libraries up; the capture waits once.
    for _ in range(WARM_UP + 1):
        take(next(batches))
    with without_waits():
        for batch in batches:
            take(batch)
    assert isinstance(take, TrainingStep) or take.graph
    workspaces = 4 * 2**25
    peak = torch.cuda.max_memory_allocated() - before
    assert peak < 2 * step_memory(INPUTS, settings) + workspaces


def test_copies_beside_the_steps_bring_the_right_patches(gpu: torch.device) -> None:
    flat = patches().reshape(-1, INPUTS)
    rng = np.random.default_rng(1)
    streaming, resident = StreamingReader(flat, 1024, gpu), ResidentReader(flat, gpu)
    for _ in range(3):
        order = rng.permutation(len(flat)).reshape(STEPS, -1)
        for here, there in zip(streaming.epoch(order), resident.epoch(order), strict=True):
            # Work that keeps the stream busy while the next copy would overtake it.
            torch.mm(there.T, there)
            assert torch.equal(here, there)
