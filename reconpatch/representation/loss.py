"""The relaxed contrastive loss (Eq. 7)."""

from typing import Any

import torch
from torch import Tensor

from reconpatch.representation.similarity import squared_distances


class RelaxedContrastiveLoss(torch.autograd.Function):
    """Eq. 7 with its gradient in closed form: one matrix product forward, one backward.

    With ``D_ij = ||z_i - z_j||``, its row mean ``mu_i`` (the zero self-distance counted in) and
    the relative distance ``d_ij = D_ij / mu_i``, let ``g_ij = dL/dd_ij``. Then

        dL/dD_ij = (g_ij - mean_n(g_in d_in)) / mu_i

    (the second term, which is the row mean's own gradient, falls away where that is detached), and
    with ``C_ij = (dL/dD_ij + dL/dD_ji) / D_ij``, zero on the diagonal and between duplicates,

        dL/dz_i = sum_j C_ij (z_i - z_j).
    """

    @staticmethod
    def forward(
        ctx: Any, z: Tensor, labels: Tensor, margin: float, detach_mean_distance: bool
    ) -> Tensor:
        """Return the scalar loss of embeddings ``z`` ``(B, D)`` and pseudo-labels ``(B, B)``."""
        distances = squared_distances(z).sqrt_()
        # A mini-batch of nothing but duplicates has no distances to be relative to.
        mean = distances.mean(dim=1, keepdim=True).clamp_(min=torch.finfo(z.dtype).tiny)
        relative = distances / mean
        repelled = (margin - relative).clamp_(min=0)
        loss = (labels * relative.square() + (1 - labels) * repelled.square()).sum() / len(z)
        gradient = (labels * relative - (1 - labels) * repelled) * (2 / len(z))
        if not detach_mean_distance:
            gradient = gradient - (gradient * relative).mean(dim=1, keepdim=True)
        gradient /= mean
        pull = gradient + gradient.T
        pull = torch.where(distances > 0, pull / distances, 0)
        ctx.save_for_backward(z, pull)
        return loss

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, None, None, None]:
        """Return the gradient with respect to ``z``; the pseudo-labels get none."""
        z, pull = ctx.saved_tensors
        gradient = pull.sum(dim=1, keepdim=True) * z - pull @ z
        return outputs[0] * gradient, None, None, None


def relaxed_contrastive_loss(
    z: Tensor, labels: Tensor, margin: float, *, detach_mean_distance: bool = False
) -> Tensor:
    """Eq. 7 of embeddings ``z`` ``(B, D)`` and pseudo-labels ``(B, B)``, as a scalar.

    ``detach_mean_distance`` takes the row mean of the relative distance as a constant. The
    pseudo-labels never get a gradient.
    """
    loss: Tensor = RelaxedContrastiveLoss.apply(z, labels, margin, detach_mean_distance)
    return loss
