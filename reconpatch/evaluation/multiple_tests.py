"""Several tests at once, and several methods over several categories.

Holm (1979), "A simple sequentially rejective multiple test procedure"; Demsar (2006), "Statistical
comparisons of classifiers over multiple data sets", for the sign test and the critical difference.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, rankdata, studentized_range

Floats = npt.NDArray[np.float64]


def holm(p: Sequence[float]) -> list[float]:
    """Return Holm's corrected p-values, in the order of the plain ones.

    Each is at most the level at which Holm's procedure rejects its hypothesis. The chance that any
    true hypothesis of the family is rejected stays below that level, however the tests depend on
    each other.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    factors = np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(1, np.maximum.accumulate(factors * np.asarray(p)[order]))
    return [float(value) for value in corrected]


def sign_test(won: int, lost: int) -> float:
    """Return the exact two-sided p-value of so many wins and losses; ties are left out.

    It is 1 where nothing is won or lost.
    """
    if won + lost == 0:
        return 1.0
    return float(binomtest(won, won + lost).pvalue)


def mean_ranks(values: Floats) -> Floats:
    """Return each method's mean rank over categories, ``(K,)``, the highest value being first.

    Equal values share the mean of their ranks.

    Args:
        values: one of each of N categories and K methods, ``(N, K)``.
    """
    ranks: Floats = rankdata(-values, axis=1).mean(axis=0)
    return ranks


def critical_difference(methods: int, categories: int, level: float = 0.95) -> float:
    """Return how far apart two mean ranks must be to differ by Nemenyi's test.

    The test compares all pairs of methods; ``level`` is of all comparisons together.
    """
    quantile = studentized_range.ppf(level, methods, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(methods * (methods + 1) / (6 * categories)))
