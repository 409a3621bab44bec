"""The relaxed contrastive loss (Eq. 7)."""

from typing import Any

import torch
from torch import Tensor

from reconpatch.representation.similarity import squared_distances


class RelaxedContrastiveLoss(torch.autograd.Function):
    """Eq. 7 with its gradient in closed form: one matrix product forward, one backward.

    Let ``D_ij = ||z_i - z_j||``, ``mu_i`` its row mean (which includes the zero self-distance) and
    ``u_i = 1 / mu_i``. The relative distance is ``d_ij = u_i D_ij``. Let further

        P_ij = (1 - w_ij) max(m u_i - u_i^2 D_ij, 0),

    which equals ``u_i (1 - w_ij) max(m - d_ij, 0)``. B times row i of the loss is then

        u_i^2 sum_j w_ij D_ij^2  +  (m / u_i) sum_j P_ij - sum_j P_ij D_ij,

    and half of the row mean's own contribution to the gradient (zero if it is detached) is

        c_i = (u_i^2 sum_j w_ij D_ij^2 - sum_j P_ij D_ij) / B.

    With ``C_ij = w_ij (u_i^2 + u_j^2) - (P_ij + P_ji + c_i u_i + c_j u_j) / D_ij``, without the
    last term between duplicates, which have no direction to move in, the gradient is

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
        # In a mini-batch of duplicates alone, the mean distance is zero.
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

    The pseudo-labels must be symmetric, as Eq. 5 makes them; they get no gradient.
    ``detach_mean_distance`` treats the row mean in the relative distance as a constant.

    Example:
        >>> z = torch.tensor([[0.0], [2.0]])  # The mean distance is 1, so that they are 2 apart.
        >>> relaxed_contrastive_loss(z, torch.ones(2, 2), margin=3.0)  # Alike: drawn together.
        tensor(4.)
        >>> relaxed_contrastive_loss(z, torch.eye(2), margin=3.0)  # Not alike: within the margin.
        tensor(1.)
    """
    loss: Tensor = RelaxedContrastiveLoss.apply(z, labels, margin, detach_mean_distance)
    return loss
