"""One step of the training (Eqs. 1-8), the same on a CPU and on a GPU but for the optimiser."""

import copy
import math
from contextlib import nullcontext
from itertools import pairwise

import torch
from adamp import AdamP
from torch import Tensor

from reconpatch.representation.adamp import CapturableAdamP
from reconpatch.representation.loss import relaxed_contrastive_loss
from reconpatch.representation.networks import RepresentationNetwork, update_average
from reconpatch.representation.similarity import pseudo_labels
from reconpatch.settings.representation import RepresentationSettings


class TrainingStep:
    """Labels, loss, gradients, optimiser and moving average on one mini-batch.

    ``without_reads`` takes what a GPU takes: no value is read on the host, and all that changes
    from step to step lies in tensors, so that a CUDA graph can hold the step.

    Attributes:
        network: f and g as they are trained.
        average: their moving average.
        total: the losses since it was last set to zero, added up; a scalar.
        labels: the pseudo-labels ``(B, B)`` of the last mini-batch.
    """

    labels: Tensor

    def __init__(
        self,
        network: RepresentationNetwork,
        settings: RepresentationSettings,
        rates: list[float],
        scaling: tuple[Tensor, Tensor] | None = None,
        *,
        without_reads: bool,
    ) -> None:
        """Prepare for ``len(rates)`` steps.

        Args:
            network: on the device that the mini-batches are on.
            settings: every choice of the training.
            rates: the learning rate of each step.
            scaling: what is taken from each channel of a patch, and what it is then divided by.
            without_reads: see above.
        """
        self.network, self.settings, self.scaling = network, settings, scaling
        self.average = copy.deepcopy(network).requires_grad_(False)
        self.total = torch.zeros((), device=network.f.weight.device)
        self.rates = iter(rates)
        decay, nesterov = settings.weight_decay, settings.nesterov
        self.optimizer: AdamP | CapturableAdamP
        if without_reads:
            self.optimizer = CapturableAdamP(
                network.parameters(), rates, weight_decay=decay, nesterov=nesterov
            )
        else:
            self.optimizer = AdamP(network.parameters(), weight_decay=decay, nesterov=nesterov)

    def __call__(self, batch: Tensor) -> None:
        """Take the step on patch features ``(B, D)``."""
        loss = self.loss(batch)
        self.optimizer.zero_grad()
        loss.backward()
        if isinstance(self.optimizer, AdamP):
            self.optimizer.param_groups[0]["lr"] = next(self.rates)
        self.optimizer.step()
        update_average(self.average, self.network, self.settings.ema_momentum)
        self.total += loss.detach()

    def loss(self, batch: Tensor) -> Tensor:
        """Return the loss of patch features ``(B, D)``, and keep their pseudo-labels."""
        settings = self.settings
        batch = batch.to(self.network.f.weight.dtype)
        if self.scaling:
            shift, scale = self.scaling
            batch = (batch - shift) / scale
        with (
            torch.autocast(batch.device.type, torch.bfloat16)
            if settings.mixed_precision
            else nullcontext()
        ):
            zbar, z = self.average(batch), self.network(batch)
        self.labels = pseudo_labels(zbar.to(batch.dtype), settings)
        loss = relaxed_contrastive_loss(
            z.to(batch.dtype),
            self.labels,
            settings.margin,
            detach_mean_distance=settings.detach_mean_distance,
        )
        return loss / len(batch) if settings.loss_reduction == "pairs" else loss


def cosine(rate: float, steps: int) -> list[float]:
    """Return the learning rate of each of ``steps`` steps and of one more, where it is zero.

    It falls along half a cosine, by the recursion and so with the last bits of torch's
    ``CosineAnnealingLR``.
    """
    heights = [1 + math.cos(math.pi * step / max(1, steps)) for step in range(steps + 1)]
    rates = [rate]
    for before, after in pairwise(heights):
        rates.append(after / before * rates[-1])
    return rates
