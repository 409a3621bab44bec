"""Principal components scaled to a shrunk unit variance: MHPatchcore's map, in closed form."""

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import eigh

from reconpatch.representation.learned import Learned
from reconpatch.representation.linear_maps import affine_layer, moments
from reconpatch.settings.representation import WhiteningSettings


def learn(
    patches: npt.NDArray[np.floating],
    settings: WhiteningSettings,
    seed: int,
    *,
    device: torch.device,
    description: str,
) -> Learned:
    """Return the map as the layer f; it is computed on the CPU, in moments.

    The first d principal components have ``variance_share`` of the variance together. Their
    covariance is diagonal, with the components' variances; shrunk, component i has
    ``(1 - s) v_i + s v`` with v their mean, and is divided by its root.

    Args:
        patches: patch features ``(N, h, w, D)``, possibly memory-mapped.
        settings: the share and the shrinkage s.
        seed: decides nothing.
        device: likewise.
        description: likewise.
    """
    mean, covariance = moments(patches.reshape(-1, patches.shape[-1]))
    variances, directions = eigh(covariance)
    variances, directions = variances[::-1].clip(min=0), directions[:, ::-1].T
    shares = variances.cumsum() / variances.sum()
    d = min(int((shares < settings.variance_share).sum()) + 1, len(variances))
    kept = variances[:d]
    shrunk = (1 - settings.shrinkage) * kept + settings.shrinkage * kept.mean()
    f = affine_layer(directions[:d] / np.sqrt(shrunk[:, None]), mean)
    return Learned({"representation": {f"f.{n}": t for n, t in f.state_dict().items()}})
