"""From patch scores to anomaly maps at the image's size."""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from reconpatch.settings.detection import MapSettings

Maps = npt.NDArray[np.float32]


def anomaly_maps(patch_scores: Maps, size: int, settings: MapSettings) -> Maps:
    """Return maps ``(N, size, size)`` of patch scores ``(N, h, w)``: upsampled, then blurred.

    Upsampling and the Gaussian are both separable and linear, so that a map is
    ``R s C^T`` with one matrix for the rows and one for the columns: two matrix products for all
    maps at once.

    Example:
        >>> patch_scores = np.array([[[0.0, 1.0], [0.0, 1.0]]], dtype=np.float32)
        >>> maps = anomaly_maps(patch_scores, 6, MapSettings(upsampling="nearest", sigma=0.1))
        >>> maps.shape  # A sigma of a tenth of a pixel blurs nothing.
        (1, 6, 6)
        >>> maps[0, 0].tolist()
        [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    """
    rows, columns = (smooth_upsampling(n, size, settings) for n in patch_scores.shape[1:])
    maps: Maps = np.matmul(rows @ patch_scores, columns.T)
    return maps


def smooth_upsampling(cells: int, size: int, settings: MapSettings) -> Maps:
    """Return the ``(size, cells)`` matrix that upsamples a line of cells and blurs it.

    The Gaussian is cut at four sigma, as PatchCore's is.
    """
    if settings.upsampling == "nearest":
        lines = np.eye(cells)[np.arange(size) * cells // size]
    else:
        where = np.clip((np.arange(size) + 0.5) * cells / size - 0.5, 0, cells - 1)
        lines = np.maximum(0, 1 - np.abs(where[:, None] - np.arange(cells)))
    blurred = gaussian_filter1d(lines, settings.sigma, axis=0, mode=settings.border)
    smooth: Maps = blurred.astype(np.float32)
    return smooth
