"""AU-PRO: the area under the per-region overlap curve, exact up to a false positive rate.

Source: Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021, Section 5.2. The overlap
of a threshold is the share of a defective region's pixels at or above it, as a mean over all
regions; a region is a set of defective pixels that touch, diagonals included. The false positive
rate is that of all normal pixels. The area is divided by the limit, so that it is in [0, 1].
"""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import label

from reconpatch.evaluation.thresholds import Thresholds

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]

TOUCHING = np.ones((3, 3), dtype=np.int64)


def region_weights(masks: Labels) -> tuple[list[Floats], npt.NDArray[np.int64]]:
    """Return for each mask ``(s, s)`` its pixels' shares of their region, and its regions' number.

    Shares are in the order of ``mask``'s defective pixels, ``(P,)`` a mask; those of a region add
    up to one.

    Example:
        >>> shares, regions = region_weights(np.array([[[1, 1, 0, 1]] * 2 + [[0] * 4] * 2], bool))
        >>> shares[0].tolist(), regions.tolist()
        ([0.25, 0.25, 0.5, 0.25, 0.25, 0.5], [2])
    """
    shares, counts = [], []
    for mask in masks:
        labels, count = label(mask, TOUCHING) if mask.any() else (np.zeros(mask.shape, int), 0)
        of_pixels = labels[mask]
        shares.append(1 / np.bincount(of_pixels, minlength=1)[of_pixels])
        counts.append(count)
    return shares, np.array(counts)


def aupro(
    found: Thresholds, scores: npt.NDArray[np.floating], shares: Floats, regions: int, limit: float
) -> float:
    """Return the area under overlap against false positive rate up to ``limit``, over ``limit``.

    The overlap changes at anomalous pixels' scores alone. Normal pixels of the same score are
    passed together with them, along a straight line.

    Args:
        found: all pixels' thresholds.
        scores: the defective pixels' scores, ``(P,)``.
        shares: their shares of their regions, as :func:`region_weights` has them.
        regions: how many regions there are.
        limit: the false positive rate up to which the area is taken.
    """
    ascending = found.scores[::-1]
    gained = np.bincount(np.searchsorted(ascending, scores), shares, len(ascending))[::-1]
    overlap = np.minimum(1, gained.cumsum() / regions)
    return area(found.false_above / found.normal, found.false / found.normal, overlap, limit)


def area(above: Floats, reached: Floats, overlap: Floats, limit: float) -> float:
    """Return the area below a curve up to ``limit``, over ``limit``.

    From threshold to threshold the curve is level as far as ``above``, the rate of normal scores
    above it, and then goes straight to the rate of those that reach it and the overlap there.
    """
    rates = np.concatenate([[0.0], np.stack([above, reached], axis=1).ravel(), [1.0]])
    height = np.repeat(np.concatenate([[0.0], overlap]), 2)
    # The curve's last point at or before the limit, and the limit itself.
    last = int(np.searchsorted(rates, limit, side="right"))
    inside, heights = rates[:last], height[:last]
    if inside[-1] < limit:
        rise = (limit - rates[last - 1]) / (rates[last] - rates[last - 1])
        end = height[last - 1] + rise * (height[last] - height[last - 1])
        inside, heights = np.append(inside, limit), np.append(heights, end)
    return float(np.trapezoid(heights, inside) / limit)
