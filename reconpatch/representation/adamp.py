"""AdamP as a GPU wants it: no value is read on the host, so that no step waits for one.

Paper: Heo et al., "AdamP: Slowing Down the Slowdown for Momentum Optimizers on Scale-invariant
Weights", ICLR 2021. The package ``adamp`` 0.3.0 (NAVER Corp., MIT licence) takes the same steps,
but looks at two values of each weight to decide what to project. This code is written anew.
"""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from reconpatch.utils.precision import widest


class CapturableAdamP(Optimizer):
    """AdamP whose every decision is taken on the device; a CUDA graph can hold its step.

    The step count is a tensor, and the learning rates of all steps lie in a table on the device.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        rates: Sequence[float],
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        delta: float = 0.1,
        wd_ratio: float = 0.1,
        nesterov: bool = False,
    ) -> None:
        """Prepare for ``len(rates)`` steps.

        Args:
            parameters: on one device.
            rates: the learning rate of each step.
            betas: decay of the gradient's running mean and of its square's.
            eps: added to what is divided by.
            weight_decay: times the learning rate, what a step takes of a parameter.
            delta: a weight is projected where the cosines between it and its gradient are below
                delta by the root of the dimension.
            wd_ratio: of the weight decay, what projected weights get.
            nesterov: whether a step looks ahead along the mean gradient.
        """
        super().__init__(parameters, {})
        self.betas, self.eps, self.nesterov, self.delta = betas, eps, nesterov, delta
        self.parameters: list[Parameter] = self.param_groups[0]["params"]
        self.means = [torch.zeros_like(p) for p in self.parameters]
        self.squares = [torch.zeros_like(p) for p in self.parameters]
        device = self.parameters[0].device
        # In double precision, as the package has these numbers; one row a step.
        table = [
            (
                rate / (1 - betas[0] ** step),
                math.sqrt(1 - betas[1] ** step),
                1 - rate * weight_decay,
                1 - rate * weight_decay * wd_ratio,
            )
            for step, rate in enumerate(rates, 1)
        ]
        self.table = (
            torch.tensor(table, dtype=torch.float64).view(-1, 4).to(widest(device)).to(device)
        )
        self.taken = torch.zeros(1, dtype=torch.long, device=device)

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Take the next step; each parameter must have a gradient."""
        size, root, decayed, spared = self.table.index_select(0, self.taken).squeeze(0).unbind()
        self.taken += 1
        beta1, beta2 = self.betas
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        torch._foreach_mul_(self.means, beta1)
        torch._foreach_add_(self.means, gradients, alpha=1 - beta1)
        torch._foreach_mul_(self.squares, beta2)
        torch._foreach_addcmul_(self.squares, gradients, gradients, value=1 - beta2)
        steps: Sequence[Tensor] = self.means
        if self.nesterov:
            steps = torch._foreach_mul(self.means, beta1)
            torch._foreach_add_(steps, gradients, alpha=1 - beta1)
        for p, gradient, step, square in zip(
            self.parameters, gradients, steps, self.squares, strict=True
        ):
            step = step / square.sqrt().div_(root).add_(self.eps)
            kept = decayed
            if p.dim() > 1:
                radial, is_projected = self._projection(p, gradient, step)
                step.sub_(radial)
                kept = torch.where(is_projected, spared, decayed)
            p.mul_(kept).sub_(step.mul_(size))

    def _projection(self, p: Tensor, gradient: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """What the projection takes from a step, zero without one; and whether there is one.

        If all output channels of a weight turn out scale-invariant, each loses the part of its step
        along itself; else, if the weight as a whole does, it loses the part along itself.
        """
        p, gradient = p.flatten(1), gradient.flatten(1)
        products = (p * gradient).sum(dim=1)
        norms, gradients = (torch.linalg.vector_norm(x, dim=1) for x in (p, gradient))
        norm, of_gradient = (torch.linalg.vector_norm(x) for x in (norms, gradients))
        cosines = products.abs() / (norms.clamp(min=self.eps) * gradients.clamp(min=self.eps))
        cosine = products.sum().abs() / (norm.clamp(min=self.eps) * of_gradient.clamp(min=self.eps))
        by_channel = cosines.max() < self.delta / math.sqrt(p.shape[1])
        by_layer = cosine < self.delta / math.sqrt(p.numel())
        along = (p * step.flatten(1)).sum(dim=1)
        of_channels = along / (norms + self.eps).square()
        of_layer = along.sum() / (norm + self.eps).square()
        share = torch.where(by_layer, of_layer, torch.zeros_like(of_layer))
        share = torch.where(by_channel, of_channels, share)
        return (share[:, None] * p).view_as(step), by_channel | by_layer
