"""Refined anomaly maps and image scores."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from reconpatch.refinement.network import RefinementNetwork

Array = npt.NDArray[np.float32]


@torch.inference_mode()
def refine(network: RefinementNetwork, images: Iterable[Tensor], maps: Array) -> Array:
    """Return refined maps ``(N, S, S)``: each pixel's log-odds of being anomalous.

    Log-odds rank pixels as probabilities do, but do not run into 1, where ranks are lost.

    Args:
        network: as trained, in evaluation mode.
        images: uint8 ``(B, 3, S, S)``, a batch at a time.
        maps: standardised anomaly maps ``(N, S, S)`` in the images' order.
    """
    device = next(network.parameters()).device
    refined = np.empty_like(maps)
    row = 0
    for batch in images:
        rows = slice(row, row + len(batch))
        of_batch = torch.from_numpy(maps[rows]).to(device)
        refined[rows] = network(batch.to(device), of_batch).cpu().numpy()
        row += len(batch)
    return refined
