"""The discriminability index d' (Eq. 12)."""

import numpy as np
import numpy.typing as npt


def discriminability_index(
    normal: npt.NDArray[np.floating], anomalous: npt.NDArray[np.floating]
) -> float | None:
    """Eq. 12: ``|mu_a - mu_n| / sqrt((sigma_a^2 + sigma_n^2) / 2)`` of two sets of image scores.

    The variances are the sets' own (divided by their size). None where neither set varies.
    """
    spread = np.sqrt((np.var(anomalous, dtype=np.float64) + np.var(normal, dtype=np.float64)) / 2)
    if spread == 0:
        return None
    return float(
        abs(np.mean(anomalous, dtype=np.float64) - np.mean(normal, dtype=np.float64)) / spread
    )
