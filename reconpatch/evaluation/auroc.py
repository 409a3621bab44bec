"""The area under the receiver operating characteristic, exactly."""

import numpy as np
import numpy.typing as npt

BLOCK = 1 << 22


def auroc(scores: npt.NDArray[np.floating], anomalous: npt.NDArray[np.bool_]) -> float:
    """Return the chance that an anomalous score exceeds a normal one, ties counting half.

    That is the area under the ROC curve, with no threshold left out. Only the rarer class is
    sorted; the other is looked up in it a block at a time, so that memory beside the scores is that
    of the rarer class and a few blocks.

    Args:
        scores: any shape.
        anomalous: as the scores.

    Raises:
        ValueError: one of the classes is empty, or a score is not a number.
    """
    scores, anomalous = scores.ravel(), anomalous.ravel()
    if np.isnan(scores).any():
        raise ValueError("a score is not a number, so that it has no rank")
    positive, negative = scores[anomalous], scores[~anomalous]
    if not (len(positive) and len(negative)):
        raise ValueError("AUROC needs normal and anomalous scores")
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
