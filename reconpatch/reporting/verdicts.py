"""Whether what a paper claims holds of measured figures: estimates, and what they decide.

An estimate is a figure with what is known of its error. Other test images would move it as far as
the bootstrap says, other seeds as far as the spread over seeds says (Student's t, where there are
two seeds or more). The two are independent, so that their widths add in quadrature.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import hypot
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from reconpatch.evaluation.bootstrap import interval

Floats = npt.NDArray[np.float64]
Verdict = Literal["holds", "does not hold", "cannot tell", "not tested"]
Comparison = Literal["ahead", "no worse", "level"]

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure, and the ends of its 95 % interval where there is one."""

    value: float
    low: float | None
    high: float | None


def estimate(by_seed: Floats, replicates: Floats) -> Estimate:
    """Return the mean over seeds with its interval.

    A single seed's interval is the bootstrap's alone. Neither replicates nor a second seed, and
    there is no interval.

    Args:
        by_seed: the figure of each seed, ``(S,)``.
        replicates: the bootstrap's of their mean, ``(R,)``, or none, ``(0,)``.
    """
    value, seeds = float(by_seed.mean()), len(by_seed)
    if seeds < 2 and not replicates.size:
        return Estimate(value, None, None)
    low, high = interval(replicates, LEVEL) if replicates.size else (value, value)
    spread = 0.0
    if seeds > 1:
        quantile = student.ppf((1 + LEVEL) / 2, seeds - 1)
        spread = float(quantile * by_seed.std(ddof=1) / np.sqrt(seeds))
    below, above = max(0.0, value - low), max(0.0, high - value)
    return Estimate(value, value - hypot(below, spread), value + hypot(above, spread))


def judge(kind: Comparison, difference: Estimate, by: float) -> Verdict:
    """Return what an estimated difference between two figures says of a claim about them.

    A claim holds where the whole interval agrees with it and does not where the whole interval
    contradicts it. An interval that reaches ``by`` does neither: figures that coincide, as those of
    two perfect detectors do, tell nothing of which is ahead.

    Args:
        kind: ``ahead`` claims a difference above ``by``, ``no worse`` one of ``by`` or more,
            ``level`` one between ``-by`` and ``by``.
        difference: the first figure less the second.
        by: see ``kind``.
    """
    low, high = difference.low, difference.high
    if low is None or high is None:
        return "cannot tell"
    agrees, contradicts = {
        "ahead": (low > by, high < by),
        "no worse": (low >= by, high < by),
        "level": (-by <= low and high <= by, low > by or high < -by),
    }[kind]
    if agrees:
        return "holds"
    return "does not hold" if contradicts else "cannot tell"


def together(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict on a claim that is made of several: the worst of theirs."""
    found = set(verdicts)
    worst: tuple[Verdict, ...] = ("does not hold", "not tested", "cannot tell", "holds")
    return next(verdict for verdict in worst if verdict in found)
