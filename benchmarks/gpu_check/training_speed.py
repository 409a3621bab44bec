"""A training step's milliseconds and memory: with and without a graph, resident and streamed."""

from collections.abc import Callable, Iterator
from functools import cache, partial

import numpy as np
from torch import Tensor

from benchmarks.data import clusters
from benchmarks.gpu_check.check import Check, Outcome
from benchmarks.gpu_check.compare import together
from benchmarks.gpu_check.meter import DevicePeak, seconds_of
from benchmarks.gpu_check.setup import Setup
from benchmarks.gpu_check.training import settings_of
from benchmarks.peers import matrix_products
from reconpatch.representation.captured_step import CapturedStep
from reconpatch.representation.networks import RepresentationNetwork
from reconpatch.representation.patch_reader import (
    HostReader,
    PatchReader,
    ResidentReader,
    StreamingReader,
)
from reconpatch.representation.step import TrainingStep, cosine
from reconpatch.representation.step_memory import step_memory

TIMED = 2
"""Epochs whose time counts, after one in which libraries set up and the graph is captured."""


def checks(setup: Setup) -> Iterator[Check]:
    """Time a step's matrix products alone, then the step in each way that it can be taken."""

    @cache
    def products() -> float:
        settings = settings_of(setup)
        work = matrix_products(settings.batch_size, setup.sizes.inputs, settings, setup.device)

        def ten() -> None:
            for _ in range(10):
                work()

        return seconds_of(ten, setup.device, 5) / 10

    yield Check("its matrix products alone", lambda: Outcome({"ms": 1000 * products()}))
    for resident in (True, False):
        for graph in (True, False):
            where = "patches on the device" if resident else "patches streamed"
            how = "by a graph" if graph else "launched one by one"
            work = partial(_step, setup, products, resident=resident, graph=graph)
            yield Check(f"step, {where}, {how}", work)


def _step(setup: Setup, products: Callable[[], float], *, resident: bool, graph: bool) -> Outcome:
    sizes, settings, device = setup.sizes, settings_of(setup), setup.device
    rows = sizes.epoch * settings.batch_size
    flat = clusters(rows, sizes.inputs, device=device).cpu().numpy()
    random = np.random.default_rng(0)

    with DevicePeak(device) as peak:
        network = RepresentationNetwork(sizes.inputs, settings, seed=0).to(device)
        rates = cosine(settings.learning_rate, (TIMED + 1) * sizes.epoch)
        step = TrainingStep(network, settings, rates, without_reads=True)
        reader: PatchReader
        if resident:
            reader = ResidentReader(flat, device)
        elif setup.on_gpu:
            reader = StreamingReader(flat, settings.batch_size, device)
        else:
            # A CPU has no streams; its mini-batches are gathered without.
            reader = HostReader(flat)
        take: Callable[[Tensor], None] = step
        if graph and setup.on_gpu:
            take = CapturedStep(step, device)

        def epoch() -> None:
            for batch in reader.epoch(random.permutation(rows).reshape(sizes.epoch, -1)):
                take(batch)

        seconds = seconds_of(epoch, device, TIMED) / sizes.epoch
    if isinstance(take, CapturedStep) and take.graph is None:
        return Outcome(problem="the GPU did not capture the step")
    # A graph has memory of its own; of streamed patches two mini-batches are there.
    patches = flat.nbytes if resident else 2 * flat[: settings.batch_size].nbytes
    stated = (2 if graph else 1) * step_memory(sizes.inputs, settings) + patches
    ratio = seconds / products()
    speed = Outcome({"ms": 1000 * seconds, "over_products": ratio})
    return together(speed, peak.beside(stated))
