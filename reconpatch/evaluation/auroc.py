"""The ROC curve and the exact area under it."""

import numpy as np
import numpy.typing as npt

BLOCK = 1 << 22
POINTS = 400
"""Points of a drawn ROC curve; more would not be visible."""


def auroc(scores: npt.NDArray[np.floating], anomalous: npt.NDArray[np.bool_]) -> float:
    """Return the probability that an anomalous score exceeds a normal one; ties count half.

    This is the area under the ROC curve over all thresholds. Only the rarer class is sorted; the
    scores of the other are looked up in it block by block. Memory beside the scores is that of the
    rarer class and a few blocks.

    Scores and labels may have any shape, the same for both.

    Raises:
        ValueError: one of the classes is empty, or a score is not a number.

    Example:
        >>> scores = np.array([0.1, 0.4, 0.35, 0.8])
        >>> auroc(scores, np.array([False, False, True, True]))
        0.75
    """
    scores, anomalous = _checked(scores, anomalous)
    positive, negative = scores[anomalous], scores[~anomalous]
    rare, common = sorted((positive, negative), key=len)
    rare.sort()
    below_or_equal = below = 0
    for start in range(0, len(common), BLOCK):
        block = np.sort(common[start : start + BLOCK])
        below += int(np.searchsorted(rare, block, side="left").sum())
        below_or_equal += int(np.searchsorted(rare, block, side="right").sum())
    # Pairs in which the common class is ahead, ties half.
    ahead = (below + below_or_equal) / 2 / (len(rare) * len(common))
    return ahead if common is positive else 1 - ahead


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
    scores, anomalous = _checked(scores, anomalous)
    order = np.argsort(scores)[::-1]
    # A threshold passes equal scores together.
    corners = np.r_[np.flatnonzero(np.diff(scores[order])), len(scores) - 1]
    positives = np.cumsum(anomalous[order])[corners]
    true = np.r_[0, positives / positives[-1]]
    false = np.r_[0, (corners + 1 - positives) / (len(scores) - positives[-1])]
    kept = np.unique(np.searchsorted(true + false, np.linspace(0, 2, POINTS + 1)))
    return false[kept], true[kept]


def _checked(
    scores: npt.NDArray[np.floating], anomalous: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.bool_]]:
    """Return both as flat arrays, or raise an error if they have no ROC curve."""
    if np.isnan(scores).any():
        raise ValueError("a score is not a number, so that it has no rank")
    if anomalous.all() or not anomalous.any():
        raise ValueError("a ROC curve and its area need normal and anomalous scores")
    return scores.ravel(), anomalous.ravel()
