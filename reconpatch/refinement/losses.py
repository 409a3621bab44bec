"""What the refinement network is trained on: focal loss and L1 (Appendix D)."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def focal_loss(logits: Tensor, masks: Tensor, gamma: float, alpha: float) -> Tensor:
    """Return the mean of ``-a (1 - q)^gamma log q`` over all pixels.

    q is the probability that the network gives a pixel's true class, a is ``alpha`` for anomalous
    pixels and ``1 - alpha`` for normal ones (Lin et al., "Focal Loss for Dense Object Detection",
    ICCV 2017).

    Args:
        logits: log-odds of a pixel's being anomalous, any shape.
        masks: 1 where it is and 0 elsewhere, as the logits.
        gamma: how much less is made of pixels that are told already; 0 is cross entropy.
        alpha: the weight of anomalous pixels, in [0, 1].
    """
    cross_entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    missed = torch.sigmoid(torch.where(masks > 0, -logits, logits))
    weights = alpha * masks + (1 - alpha) * (1 - masks)
    return (weights * missed**gamma * cross_entropy).mean()


def l1_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the mean absolute difference of probabilities and mask over all pixels."""
    return (torch.sigmoid(logits) - masks).abs().mean()
