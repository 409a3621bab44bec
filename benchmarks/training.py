"""A training step of ReConPatch beside its matrix products alone, and beside other forms."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy.typing as npt
import torch
from adamp import AdamP
from torch import Tensor

from benchmarks.data import clusters
from benchmarks.measure import in_turns
from benchmarks.peers import dense_labels, dense_loss, looped_labels, matrix_products
from benchmarks.plan import Plan
from benchmarks.report import Findings, Row
from reconpatch.representation.loss import relaxed_contrastive_loss
from reconpatch.representation.networks import RepresentationNetwork, update_average
from reconpatch.representation.similarity import pseudo_labels
from reconpatch.representation.training import train
from reconpatch.settings.representation import RepresentationSettings

INPUTS = 1024
SETTINGS = RepresentationSettings()
PRODUCTS = "its matrix products alone"
DENSE = "dense masks and autograd, vectorised"
LOOPED = "STML's form: Eq. 2 row by row, autograd"
TOLERANCE = 1e-5

Labels = Callable[[Tensor, RepresentationSettings], Tensor]
Loss = Callable[[Tensor, Tensor, float], Tensor]


def measure(patches: npt.NDArray[Any], plan: Plan) -> Findings:
    """Time single steps on drawn patches, and an epoch on a category's patches.

    A step is the same as in the package's training: both networks forward, pseudo-labels, loss,
    backward, AdamP and the moving average. Its mini-batch is ready in memory.
    """
    batch = clusters(SETTINGS.batch_size, INPUTS)
    difference = largest_difference(batch)
    assert difference < TOLERANCE, f"the dense form differs by {difference:.1e}"
    measured = in_turns(
        {
            "ours, a step": step(batch, pseudo_labels, relaxed_contrastive_loss),
            PRODUCTS: matrix_products(SETTINGS.batch_size, INPUTS, SETTINGS),
            DENSE: step(batch, dense_labels, dense_loss),
            LOOPED: step(batch, looped_labels, dense_loss),
        },
        repeats=plan.steps,
    )
    ours = measured["ours, a step"]
    size = f"{INPUTS} -> {SETTINGS.dimension} -> {SETTINGS.projection_dimension}"
    what = f"training step, B = {SETTINGS.batch_size:,}, {size}"
    goals = (1.4, 1.5) if plan.goals else (None, None)
    epoch = _epoch(patches, plan)
    return Findings(
        "Training",
        [
            Row(what, ours, PRODUCTS, measured[PRODUCTS], overhead=True, goal=goals[0]),
            Row(what, ours, DENSE, measured[DENSE], goal=goals[1]),
            Row(what, ours, LOOPED, measured[LOOPED]),
            epoch,
        ],
        [
            "The products of a step: 4 forward (f and g of both networks), 3 backward (both "
            "weights, g's input), 2 of all distances (z and its average), 1 for the loss's "
            "gradient. "
            f"They are {100 * measured[PRODUCTS].median / ours.median:.0f} % of the step, "
            f"and {100 / epoch.ratio:.0f} % of the training on the category's patches.",
            "On the same mini-batch, loss and gradient of ours and of the dense form differ by at "
            f"most {difference:.1e} of their size.",
        ],
    )


def step(batch: Tensor, labels_of: Labels, loss_of: Loss) -> Callable[[], None]:
    """Return a function that does one training step on ``batch`` with these labels and loss."""
    network = RepresentationNetwork(batch.shape[1], SETTINGS, seed=0)
    average = copy.deepcopy(network).requires_grad_(False)
    optimizer = AdamP(
        network.parameters(),
        lr=SETTINGS.learning_rate,
        weight_decay=SETTINGS.weight_decay,
        nesterov=SETTINGS.nesterov,
    )

    def run() -> None:
        labels = labels_of(average(batch), SETTINGS)
        loss = loss_of(network(batch), labels, SETTINGS.margin)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        update_average(average, network, SETTINGS.ema_momentum)

    return run


def largest_difference(batch: Tensor) -> float:
    """The relative difference of loss and gradient between ours and the dense form."""
    network = RepresentationNetwork(batch.shape[1], SETTINGS, seed=0)
    outcomes = []
    for labels_of, loss_of in (
        (pseudo_labels, relaxed_contrastive_loss),
        (dense_labels, dense_loss),
    ):
        z = network(batch).detach().requires_grad_()
        loss = loss_of(z, labels_of(z.detach(), SETTINGS), SETTINGS.margin)
        (gradient,) = torch.autograd.grad(loss, z)
        outcomes.append((loss.detach(), gradient))
    return max(float((a - b).norm() / b.norm()) for a, b in zip(*outcomes, strict=True))


def _epoch(patches: npt.NDArray[Any], plan: Plan) -> Row:
    """The default number of epochs on a category's patches, extrapolated from one."""
    one = SETTINGS.model_copy(update={"epochs": 1})
    steps = patches[..., 0].size // SETTINGS.batch_size
    products = matrix_products(SETTINGS.batch_size, patches.shape[-1], SETTINGS)
    name, part = "ours, an epoch", "the matrix products of a step"
    measured = in_turns(
        {name: lambda: train(patches, one, 0, device=torch.device("cpu"))}, repeats=1
    ) | in_turns({part: products}, plan.steps)
    epochs = SETTINGS.epochs
    sizes = f"{patches.shape[-1]} -> {SETTINGS.dimension} -> {SETTINGS.projection_dimension}"
    ours = replace(measured[name].times(epochs), result=None)
    return Row(
        f"training, {sizes}, {epochs} epochs of {steps} steps, extrapolated from one epoch",
        ours,
        PRODUCTS,
        measured[part].times(epochs * steps),
        overhead=True,
    )
