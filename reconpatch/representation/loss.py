"""The relaxed contrastive loss (Eq. 7)."""

from typing import Any

import torch
from torch import Tensor

from reconpatch.representation.similarity import squared_distances


class RelaxedContrastiveLoss(torch.autograd.Function):
    """Eq. 7 with its gradient in closed form: one matrix product forward, one backward.

    Let ``D_ij = ||z_i - z_j||``, ``mu_i`` its row mean (the zero self-distance counted in),
    ``u_i = 1 / mu_i``, so that the relative distance is ``d_ij = u_i D_ij``, and

        P_ij = (1 - w_ij) max(m u_i - u_i^2 D_ij, 0),

    which is ``u_i (1 - w_ij) max(m - d_ij, 0)``. Row i of the loss is then, over B,

        u_i^2 sum_j w_ij D_ij^2  +  (m / u_i) sum_j P_ij - sum_j P_ij D_ij,

    and half of what the row mean's own gradient takes back (nothing where it is detached)

        c_i = (u_i^2 sum_j w_ij D_ij^2 - sum_j P_ij D_ij) / B.

    With ``C_ij = w_ij (u_i^2 + u_j^2) - (P_ij + P_ji + c_i u_i + c_j u_j) / D_ij``, the last term
    left out between duplicates, which have no direction to be moved in, the gradient is

        dL/dz_i = 2/B sum_j C_ij (z_i - z_j).

    As w and D are symmetric, ``P_ji`` is ``P_ij`` with ``u_j`` for ``u_i``: nothing is transposed.
    """

    @staticmethod
    def forward(
        ctx: Any, z: Tensor, labels: Tensor, margin: float, detach_mean_distance: bool
    ) -> Tensor:
        """Return the scalar loss of embeddings ``z`` ``(B, D)`` and pseudo-labels ``(B, B)``."""
        size = len(z)
        tiny = torch.finfo(z.dtype).tiny ** 0.75
        squared = squared_distances(z)
        distances = squared.sqrt()
        mean = distances.mean(dim=1)
        # A mini-batch of nothing but duplicates has no distances to be relative to.
        u = 1 / mean.clamp(min=tiny**0.5)
        squares = u.square() * (mean > 0)
        # One buffer serves all products: a fresh matrix costs as much as filling it.
        product = labels * squared
        attracted = squares * product.sum(dim=1)
        repelling = _repelling(distances, labels, margin, u[:, None])
        pushed = torch.mul(repelling, distances, out=product).sum(dim=1)
        loss = (attracted + repelling.sum(dim=1) * margin / u - pushed).sum() / size
        repelling += _repelling(distances, labels, margin, u, out=product)
        if not detach_mean_distance:
            own = (attracted - pushed) / size * u
            repelling.add_(own[:, None]).add_(own)
        # Division by a distance, but zero between duplicates.
        repelling.mul_(distances).div_(squared.add_(tiny))
        pull = torch.add(squares[:, None], squares, out=product).mul_(labels).sub_(repelling)
        ctx.save_for_backward(z - z.mean(dim=0), pull)
        return loss

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, None, None, None]:
        """Return the gradient with respect to ``z``; the pseudo-labels get none."""
        z, pull = ctx.saved_tensors
        gradient = torch.addmm(pull.sum(dim=1, keepdim=True) * z, pull, z, alpha=-1)
        return gradient * (2 / len(z) * outputs[0]), None, None, None


def _repelling(
    distances: Tensor, labels: Tensor, margin: float, u: Tensor, out: Tensor | None = None
) -> Tensor:
    """P of ``RelaxedContrastiveLoss``: a column ``u`` gives ``P_ij``, a row ``P_ji``."""
    repelling = torch.mul(distances, -u.square(), out=out).add_(margin * u).clamp_(min=0)
    return repelling.addcmul_(repelling, labels, value=-1)


def relaxed_contrastive_loss(
    z: Tensor, labels: Tensor, margin: float, *, detach_mean_distance: bool = False
) -> Tensor:
    """Eq. 7 of embeddings ``z`` ``(B, D)`` and pseudo-labels ``(B, B)``, as a scalar.

    The pseudo-labels must be symmetric, as Eq. 5 makes them, and never get a gradient.
    ``detach_mean_distance`` takes the row mean of the relative distance as a constant.

    Example:
        >>> z = torch.tensor([[0.0], [2.0]])  # The mean distance is 1, so that they are 2 apart.
        >>> relaxed_contrastive_loss(z, torch.ones(2, 2), margin=3.0)  # Alike: drawn together.
        tensor(4.)
        >>> relaxed_contrastive_loss(z, torch.eye(2), margin=3.0)  # Not alike: within the margin.
        tensor(1.)
    """
    loss: Tensor = RelaxedContrastiveLoss.apply(z, labels, margin, detach_mean_distance)
    return loss
