"""From patch features to what detection works on."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

ROWS = 8192


@torch.inference_mode()
def represent(
    patches: npt.NDArray[np.floating] | Tensor,
    layer: nn.Linear | None,
    device: torch.device,
    *,
    pooled_dimension: int | None = None,
) -> Tensor:
    """Return the features ``(N h w, d)`` that detection works on, in single precision.

    That is ``f(p)`` for a representation layer f. Without one (PatchCore) it is the patch features,
    averaged over neighbouring channels down to ``pooled_dimension`` where that is given, as
    PatchCore's public code comes to its target dimension. Memory: ``4 N h w d`` bytes on the
    device, and ``4 ROWS (D + d)`` on the way; none for patch features that stay as they lie.

    Args:
        patches: patch features ``(N, h, w, D)``, possibly memory-mapped.
        layer: f, or None.
        device: where the features are wanted.
        pooled_dimension: d without a layer; None leaves all D.

    Raises:
        ValueError: both a layer and a pooled dimension are given.
    """
    flat = torch.as_tensor(patches).reshape(-1, patches.shape[-1])
    transform: nn.Module
    if layer is not None and pooled_dimension is not None:
        raise ValueError("a layer's output is not pooled: give layer or pooled_dimension")
    if layer is not None:
        transform, dimension = layer.to(device), layer.out_features
    elif pooled_dimension is not None:
        transform, dimension = nn.AdaptiveAvgPool1d(pooled_dimension), pooled_dimension
    elif flat.device == device:
        return flat.float()
    else:
        transform, dimension = nn.Identity(), flat.shape[1]
    features = torch.empty(len(flat), dimension, device=device)
    for rows, filled in zip(flat.split(ROWS), features.split(ROWS), strict=True):
        # What is stored in half precision is widened there.
        filled.copy_(transform(rows.to(device).float()))
    return features
