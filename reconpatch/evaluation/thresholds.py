"""How many scores lie at or above each threshold that matters, counted once for several metrics."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

BLOCK = 1 << 22
Counts = npt.NDArray[np.int64]


class Thresholds(NamedTuple):
    """Counts at the T distinct anomalous scores, from the highest to the lowest.

    Between two of them only normal scores are passed, which no metric here gains by.

    Attributes:
        scores: the thresholds, ``(T,)``.
        true: anomalous scores at or above each.
        false: normal scores at or above each.
        false_above: normal scores above each: less than ``false`` where scores are tied.
        anomalous: how many anomalous scores there are.
        normal: how many normal ones.
    """

    scores: npt.NDArray[np.floating]
    true: Counts
    false: Counts
    false_above: Counts
    anomalous: int
    normal: int


def thresholds(scores: npt.NDArray[np.floating], anomalous: npt.NDArray[np.bool_]) -> Thresholds:
    """Count scores of any shape against their labels, of the same shape.

    Only the anomalous scores are sorted; the normal ones are looked up in them block by block.
    Memory beside the scores is that of both classes and a few blocks.

    Raises:
        ValueError: one of the classes is empty, or a score is not a number.

    Example:
        >>> found = thresholds(np.array([0.9, 0.9, 0.5, 0.1]), np.array([True, False, True, False]))
        >>> found.true.tolist(), found.false.tolist(), found.false_above.tolist()
        ([1, 2], [1, 1], [0, 1])
    """
    scores, anomalous = checked(scores, anomalous)
    distinct, times = np.unique(scores[anomalous], return_counts=True)
    normal = scores[~anomalous]
    at_or_above = np.zeros(len(distinct) + 1, dtype=np.int64)
    above = np.zeros_like(at_or_above)
    for start in range(0, len(normal), BLOCK):
        block = np.sort(normal[start : start + BLOCK])
        # How many thresholds each normal score reaches, and exceeds.
        reached = len(block) - np.searchsorted(block, distinct, side="left")
        exceeded = len(block) - np.searchsorted(block, distinct, side="right")
        at_or_above[:-1] += reached
        above[:-1] += exceeded
    return Thresholds(
        scores=distinct[::-1],
        true=times[::-1].cumsum(),
        false=at_or_above[-2::-1],
        false_above=above[-2::-1],
        anomalous=int(times.sum()),
        normal=len(normal),
    )


def checked(
    scores: npt.NDArray[np.floating], anomalous: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.bool_]]:
    """Return both as flat arrays.

    Raises:
        ValueError: one of the classes is empty, or a score is not a number.
    """
    if np.isnan(scores).any():
        raise ValueError("a score is not a number, so that it has no rank")
    if anomalous.all() or not anomalous.any():
        raise ValueError("a ROC curve and its area need normal and anomalous scores")
    return scores.ravel(), anomalous.ravel()
