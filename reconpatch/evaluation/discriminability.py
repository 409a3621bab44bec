"""The discriminability index d' (Eq. 12)."""

import numpy as np
import numpy.typing as npt


def discriminability_index(
    normal: npt.NDArray[np.floating], anomalous: npt.NDArray[np.floating]
) -> float | None:
    """Eq. 12: ``|mu_a - mu_n| / sqrt((sigma_a^2 + sigma_n^2) / 2)`` of two sets of image scores.

    Each variance is divided by the size of its set. The result is None if neither set varies.

    Example:
        >>> discriminability_index(np.array([0.0, 2.0]), np.array([6.0, 8.0]))
        6.0
    """
    spread = np.sqrt((np.var(anomalous, dtype=np.float64) + np.var(normal, dtype=np.float64)) / 2)
    if spread == 0:
        return None
    return float(
        abs(np.mean(anomalous, dtype=np.float64) - np.mean(normal, dtype=np.float64)) / spread
    )


def discriminability_replicates(
    scores: npt.NDArray[np.floating],
    anomalous: npt.NDArray[np.bool_],
    counts: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Return Eq. 12 of each resampling of the images, ``(R,)``; NaN if its scores do not vary.

    Image scores and labels are ``(N,)``; ``counts``, ``(R, N)``, says how often each is drawn.
    """
    means, variances = [], []
    for members in (anomalous, ~anomalous):
        # Without centring, the variance could be a small difference of large squares.
        centre = scores[members].mean(dtype=np.float64)
        centred = scores[members].astype(np.float64) - centre
        weights = counts[:, members] / counts[:, members].sum(axis=1, keepdims=True)
        mean = weights @ centred
        means.append(mean + centre)
        variances.append(np.maximum(weights @ centred**2 - mean**2, 0))
    spread = np.sqrt(sum(variances) / 2)
    indices: npt.NDArray[np.float64] = np.full(len(counts), np.nan)
    np.divide(np.abs(means[0] - means[1]), spread, out=indices, where=spread > 0)
    return indices
