"""The ROC curve and the exact area under it."""

import numpy as np
import numpy.typing as npt

from reconpatch.evaluation.thresholds import Thresholds, checked, thresholds

POINTS = 400
"""Points of a drawn ROC curve; more would not be visible."""


def auroc(scores: npt.NDArray[np.floating], anomalous: npt.NDArray[np.bool_]) -> float:
    """Return the probability that an anomalous score exceeds a normal one; ties count half.

    This is the area under the ROC curve over all thresholds. Scores and labels may have any shape,
    the same for both.

    Raises:
        ValueError: one of the classes is empty, or a score is not a number.

    Example:
        >>> scores = np.array([0.1, 0.4, 0.35, 0.8])
        >>> auroc(scores, np.array([False, False, True, True]))
        0.75
    """
    return auroc_of(thresholds(scores, anomalous))


def auroc_of(found: Thresholds) -> float:
    """Return the AUROC of scores that are counted already."""
    times = np.diff(found.true, prepend=0)
    # Pairs in which the normal score is ahead, twice; exact, as all are whole numbers.
    behind, pairs = int(times @ (found.false + found.false_above)), found.anomalous * found.normal
    if found.anomalous <= found.normal:
        return 1 - behind / 2 / pairs
    return (2 * pairs - behind) / 2 / pairs


def roc_curve(
    scores: npt.NDArray[np.floating], anomalous: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return false and true positive rates as the threshold falls, from (0, 0) to (1, 1).

    Of the curve's corners those are kept that lie about a ``POINTS``-th of its length apart. Takes
    and raises what :func:`auroc` does.

    Example:
        >>> scores = np.array([0.1, 0.4, 0.35, 0.8])
        >>> false, true = roc_curve(scores, np.array([False, False, True, True]))
        >>> false.tolist()
        [0.0, 0.0, 0.5, 0.5, 1.0]
        >>> true.tolist()
        [0.0, 0.5, 0.5, 1.0, 1.0]
    """
    scores, anomalous = checked(scores, anomalous)
    order = np.argsort(scores)[::-1]
    # A threshold passes equal scores together.
    corners = np.r_[np.flatnonzero(np.diff(scores[order])), len(scores) - 1]
    positives = np.cumsum(anomalous[order])[corners]
    true = np.r_[0, positives / positives[-1]]
    false = np.r_[0, (corners + 1 - positives) / (len(scores) - positives[-1])]
    kept = np.unique(np.searchsorted(true + false, np.linspace(0, 2, POINTS + 1)))
    return false[kept], true[kept]
