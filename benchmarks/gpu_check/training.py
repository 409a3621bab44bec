"""Training of the representation: the CPU's labels, losses and weights beside the GPU's."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.data import clusters
from benchmarks.gpu_check.check import Check, Outcome
from benchmarks.gpu_check.compare import agreement, choices, together, worst
from benchmarks.gpu_check.setup import CPU, Setup
from reconpatch.representation.captured_step import CapturedStep
from reconpatch.representation.loss import relaxed_contrastive_loss
from reconpatch.representation.networks import RepresentationNetwork, update_average
from reconpatch.representation.similarity import (
    nearest_neighbours,
    pseudo_labels,
    squared_distances,
)
from reconpatch.representation.step import TrainingStep, cosine
from reconpatch.settings.representation import RepresentationSettings

STEPS = 20
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "no g": {"projection_dimension": None},
    "other sets": {
        "sigma_unit": "mean_squared_distance",
        "neighbour_set": "reciprocal",
        "half_set": "nearest",
        "include_self": False,
    },
    "mixed precision": {"mixed_precision": True},
}


class Trained(NamedTuple):
    """A few steps' outcome: losses ``(STEPS,)``, weights, and whether a graph took the steps."""

    losses: Tensor
    network: RepresentationNetwork
    average: torch.nn.Module
    is_captured: bool


def settings_of(setup: Setup, **chosen: Any) -> RepresentationSettings:
    """Return the settings of a training of the checks' size."""
    sizes = setup.sizes
    own = {
        "dimension": sizes.dimension,
        "projection_dimension": sizes.dimension,
        "batch_size": sizes.batch_size,
    }
    return RepresentationSettings(**own | chosen)


def checks(setup: Setup) -> Iterator[Check]:
    """Compare a step's parts, then some steps, then the graph's with the plain ones."""
    for name in ("default", "other sets"):
        yield Check(f"pseudo-labels, {name}", partial(_labels, setup, VARIANTS[name]))
    yield Check("neighbours within a mini-batch", partial(_neighbours, setup))
    yield Check("loss and its gradient", partial(_loss, setup))
    yield Check("moving average", partial(_average, setup))
    for name, chosen in VARIANTS.items():
        yield Check(f"{STEPS} steps, {name}", partial(_steps, setup, chosen))
    yield Check(f"{STEPS} steps twice: the same bits", partial(_bits, setup, graph=False))
    yield Check(f"{STEPS} steps by a graph: the same bits", partial(_bits, setup, graph=True))


def _mini_batch(setup: Setup) -> Tensor:
    return clusters(setup.sizes.batch_size, setup.sizes.inputs)


def _labels(setup: Setup, chosen: dict[str, Any]) -> Outcome:
    settings, z = settings_of(setup, **chosen), _mini_batch(setup)
    found = pseudo_labels(z.to(setup.device), settings)
    # A few neighbours that are nearly as far may change places, and their labels with them.
    return agreement(found, pseudo_labels(z, settings), 1e-2)


def _neighbours(setup: Setup) -> Outcome:
    def found(device: torch.device) -> Tensor:
        squared = squared_distances(_mini_batch(setup).to(device))
        return nearest_neighbours(squared, 5, include_self=True)

    return choices(found(setup.device), found(CPU), 0.999)


def _loss(setup: Setup) -> Outcome:
    labels = pseudo_labels(_mini_batch(setup), settings_of(setup))

    def both(device: torch.device) -> tuple[Tensor, Tensor]:
        z = clusters(setup.sizes.batch_size, setup.sizes.dimension, 1).to(device).requires_grad_()
        loss = relaxed_contrastive_loss(z, labels.to(device), 1.0)
        (gradient,) = torch.autograd.grad(loss, z)
        return loss, gradient

    (loss, gradient), (cpu_loss, cpu_gradient) = both(setup.device), both(CPU)
    return worst([agreement(loss, cpu_loss, 1e-5), agreement(gradient, cpu_gradient, 1e-4)])


def _average(setup: Setup) -> Outcome:
    def found(device: torch.device) -> Tensor:
        networks = [
            RepresentationNetwork(setup.sizes.inputs, settings_of(setup), seed).to(device)
            for seed in (0, 1)
        ]
        update_average(networks[0], networks[1], 0.99)
        return networks[0].f.weight

    return agreement(found(setup.device), found(CPU), 1e-6)


def _train(setup: Setup, chosen: dict[str, Any], device: torch.device, kind: str) -> Trained:
    """Take steps as a ``kind`` of device does: ``cpu``, ``plain`` on a GPU, or by ``graph``."""
    settings = settings_of(setup, **chosen)
    network = RepresentationNetwork(setup.sizes.inputs, settings, seed=0).to(device)
    rates = cosine(settings.learning_rate, STEPS)
    step = TrainingStep(network, settings, rates, without_reads=kind != "cpu")
    take: Callable[[Tensor], None] = step
    if kind == "graph" and device.type == "cuda":
        take = CapturedStep(step, device)
    losses = []
    for batch in clusters(STEPS * settings.batch_size, setup.sizes.inputs).split(
        # Each mini-batch has patches of some clusters.
        settings.batch_size
    ):
        step.total.zero_()
        take(batch.to(device))
        losses.append(step.total.clone())
    is_captured = isinstance(take, CapturedStep) and take.graph is not None
    return Trained(torch.stack(losses), network, step.average, is_captured)


def _steps(setup: Setup, chosen: dict[str, Any]) -> Outcome:
    """Losses, and how far the weights lie apart beside how far they moved."""
    here = _train(setup, chosen, CPU, "cpu")
    there = _train(setup, chosen, setup.device, "graph")
    start = RepresentationNetwork(setup.sizes.inputs, settings_of(setup, **chosen), seed=0)
    moved = float((here.network.f.weight - start.f.weight).detach().norm())
    coarse = bool(chosen.get("mixed_precision"))
    losses = agreement(there.losses, here.losses, 1e-2 if coarse else 1e-3)
    weights = agreement(
        there.network.f.weight, here.network.f.weight, 0.2 if coarse else 0.02, scale=moved
    )
    values = {"loss_relative": losses.values.get("relative")} | weights.values
    return Outcome(values, losses.problem or weights.problem)


def _bits(setup: Setup, *, graph: bool) -> Outcome:
    plain = _train(setup, {}, setup.device, "plain")
    again = _train(setup, {}, setup.device, "graph" if graph else "plain")
    pairs = [
        (plain.losses, again.losses),
        *zip(plain.network.parameters(), again.network.parameters(), strict=True),
        *zip(plain.average.parameters(), again.average.parameters(), strict=True),
    ]
    outcomes = [choices(ours, theirs, 1) for ours, theirs in pairs]
    outcomes.sort(key=lambda outcome: -float(outcome.values["equal_share"] or 0))
    problem = together(*outcomes).problem
    values = dict(outcomes[-1].values)
    if graph and setup.on_gpu and not again.is_captured:
        problem = "the GPU did not capture the step"
    return Outcome(values, problem)
