"""The threshold at which scores tell normal from anomalous best (Section 4.5, Figure 5)."""

import numpy as np
import numpy.typing as npt

BLOCK = 1 << 22


def best_f1_threshold(scores: npt.NDArray[np.floating], anomalous: npt.NDArray[np.bool_]) -> float:
    """Return the threshold t of the highest F1, where scores of t and more are called anomalous.

    No threshold is left out: the best is always an anomalous score, for between two of these a
    higher threshold only calls fewer normal scores anomalous. Where several are as good, it is the
    lowest. Only anomalous scores are kept sorted, normal ones are looked up in them a block at a
    time, so that memory beside the scores is that of either class once and of a few blocks.

    Args:
        scores: any shape.
        anomalous: as the scores.

    Raises:
        ValueError: nothing is anomalous, or a score is not a number.

    Example:
        >>> scores = np.array([0.1, 0.4, 0.35, 0.8])
        >>> best_f1_threshold(scores, np.array([False, False, True, True]))
        0.35
    """
    scores, anomalous = scores.ravel(), anomalous.ravel()
    if np.isnan(scores).any():
        raise ValueError("a score is not a number, so that no threshold parts it")
    positive, negative = np.sort(scores[anomalous]), scores[~anomalous]
    if not len(positive):
        raise ValueError("F1 needs anomalous scores")
    # How many normal scores are at or above exactly the lowest 0, 1, 2, ... anomalous scores.
    above = np.zeros(len(positive) + 1, dtype=np.int64)
    for start in range(0, len(negative), BLOCK):
        block = np.sort(negative[start : start + BLOCK])
        ranks = np.searchsorted(positive, block, side="right")
        above += np.bincount(ranks, minlength=len(above))
    false_positives = above[:0:-1].cumsum()[::-1]
    # Among equal scores the first has the true count, the others a lower one: they cannot win.
    true_positives = np.arange(len(positive), 0, -1)
    f1 = 2 * true_positives / (true_positives + false_positives + len(positive))
    return float(positive[f1.argmax()])
