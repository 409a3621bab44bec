"""Average precision and the largest F1 score, exact over all thresholds."""

import numpy as np

from reconpatch.evaluation.thresholds import Thresholds


def average_precision(found: Thresholds) -> float:
    """Return the mean over anomalous scores of the precision at each, as scikit-learn defines it.

    That is the area under the precision-recall curve as a step function. It is in (0, 1], and near
    the share of anomalous scores where scores say nothing.

    Example:
        >>> from reconpatch.evaluation.thresholds import thresholds
        >>> scores, anomalous = np.array([4.0, 3.0, 2.0]), np.array([True, False, True])
        >>> round(average_precision(thresholds(scores, anomalous)), 4)  # 1 and 2/3
        0.8333
    """
    gained = np.diff(found.true, prepend=0)
    precision = found.true / (found.true + found.false)
    return float(gained @ precision / found.anomalous)


def f1_max(found: Thresholds) -> float:
    """Return the F1 score at the best threshold, ``2 TP / (2 TP + FP + FN)``, in (0, 1].

    The threshold is chosen with the labels at hand: a bound for what one chosen without can reach.

    Example:
        >>> from reconpatch.evaluation.thresholds import thresholds
        >>> scores, anomalous = np.array([4.0, 3.0, 2.0]), np.array([True, False, True])
        >>> f1_max(thresholds(scores, anomalous))  # At 2: 4 / (4 + 1 + 0)
        0.8
    """
    return float((2 * found.true / (found.anomalous + found.true + found.false)).max())
