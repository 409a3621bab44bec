"""Whether what a paper claims holds of measured values: estimates, and what they decide.

An estimate is a value with what is known of its error. Other test images would move it as far as
the bootstrap says, other seeds as far as the spread over seeds says (Student's t, where there are
two seeds or more). The two are independent, so that their widths add in quadrature.

The 95 % interval has the bootstrap's own 95 % ends. At other levels the bootstrap's width on either
side grows and shrinks as a normal distribution's does: a thousand replicates hold next to nothing
of the tails that a corrected level asks for. Student's width takes its own quantile at each level.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import hypot
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import ndtri, stdtrit

from reconpatch.evaluation.bootstrap import interval

Floats = npt.NDArray[np.float64]
Verdict = Literal["holds", "does not hold", "cannot tell", "not tested"]
Comparison = Literal["ahead", "no worse", "level"]
End = Literal["low", "high"]

LEVEL = 0.95
ALPHA = 0.05
POWER = 0.8
SMALLEST_P = 1e-300
"""Below this a p-value is 0: an end of an interval that never reaches a bound."""


@dataclass(frozen=True)
class Estimate:
    """A value and its error.

    Attributes:
        below, above: how far the ends of the bootstrap's 95 % interval lie from the value.
        standard_error: of the mean over seeds; 0 of a single seed.
        seeds: how many there are. One, and no replicates: there is no interval.
        resampled: whether there are replicates.
    """

    value: float
    below: float = 0.0
    above: float = 0.0
    standard_error: float = 0.0
    seeds: int = 1
    resampled: bool = True

    @property
    def has_interval(self) -> bool:
        """Whether anything is known of the value's error."""
        return self.resampled or self.seeds > 1

    def width(self, end: End, p: float) -> float:
        """Return how far an end of the interval at level ``1 - p`` lies from the value."""
        images = self.below if end == "low" else self.above
        images *= float(ndtri(p / 2) / ndtri(ALPHA / 2))
        if not self.standard_error:
            return images
        return hypot(images, float(stdtrit(self.seeds - 1, p / 2)) * self.standard_error)

    @property
    def low(self) -> float | None:
        """The lower end of the 95 % interval."""
        return self.value - self.width("low", ALPHA) if self.has_interval else None

    @property
    def high(self) -> float | None:
        """The upper end of the 95 % interval."""
        return self.value + self.width("high", ALPHA) if self.has_interval else None


def estimate(by_seed: Floats, replicates: Floats) -> Estimate:
    """Return the mean over seeds with its error.

    A single seed's interval is the bootstrap's alone. Neither replicates nor a second seed, and
    there is no interval.

    Args:
        by_seed: the value of each seed, ``(S,)``.
        replicates: the bootstrap's of their mean, ``(R,)``, or none, ``(0,)``.
    """
    value, seeds = float(by_seed.mean()), len(by_seed)
    low, high = interval(replicates, LEVEL) if replicates.size else (value, value)
    spread = float(by_seed.std(ddof=1) / np.sqrt(seeds)) if seeds > 1 else 0.0
    below, above = max(0.0, value - low), max(0.0, high - value)
    return Estimate(value, below, above, spread, seeds, bool(replicates.size))


def judge(kind: Comparison, difference: Estimate, by: float) -> Verdict:
    """Return what an estimated difference between two values says of a claim about them.

    A claim holds where the whole 95 % interval agrees with it and does not where the whole interval
    contradicts it. An interval that reaches ``by`` does neither: values that coincide, as those of
    two perfect detectors do, tell nothing of which is ahead.

    Args:
        kind: ``ahead`` claims a difference above ``by``, ``no worse`` one of ``by`` or more,
            ``level`` one between ``-by`` and ``by``.
        difference: the first value less the second.
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


def leans(kind: Comparison, difference: Estimate, by: float) -> Verdict:
    """Return what the value alone says, which an interval can only confirm or leave open."""
    alone = judge(kind, Estimate(difference.value), by)
    # Values that coincide are not ahead, and no interval around them says that they are behind.
    return "does not hold" if alone == "cannot tell" else alone


def p_value(kind: Comparison, difference: Estimate, by: float) -> float | None:
    """Return one less the highest level at which the interval still decides; None without one.

    The verdict at 95 % is therefore not "cannot tell" exactly where p is below 0.05 (an interval
    that ends on ``by`` itself is the one exception). It is the two-sided p-value of a difference of
    ``by``; of ``level``, within its bounds, the larger of both bounds' p-values.

    Args:
        kind: as for :func:`judge`.
        difference: the first value less the second.
        by: as for :func:`judge`.
    """
    if not difference.has_interval:
        return None
    value = difference.value
    if kind == "level" and -by <= value <= by:
        return max(_reaches(difference, "low", -by), _reaches(difference, "high", by))
    if kind == "level":
        return _reaches(difference, *(("low", by) if value > by else ("high", -by)))
    if kind == "ahead" and value == by:
        return 1.0
    return _reaches(difference, "low" if value >= by else "high", by)


def _reaches(difference: Estimate, end: End, bound: float) -> float:
    """The p-value at which an end of the interval lies on a bound."""
    distance = abs(difference.value - bound)
    if difference.width(end, SMALLEST_P) <= distance:
        return 0.0
    if not distance:
        return 1.0

    def beyond(exponent: float) -> float:
        return difference.width(end, 10**exponent) - distance

    found: float = brentq(beyond, np.log10(SMALLEST_P), 0, xtol=1e-13)
    return float(min(1.0, 10**found))


def detectable(difference: Estimate, alpha: float) -> float | None:
    """Return the smallest difference from a claim's bound that would have been shown.

    A true difference of this size is told from the bound at level ``1 - alpha`` with the
    probability ``POWER``: it is as wide as the interval at that level and once more as the
    quantile of ``POWER``, ``(z(1 - alpha/2) + z(POWER))`` standard errors, with Student's quantiles
    for the seeds. The wider side of the interval counts. None without an interval.
    """
    if not difference.has_interval:
        return None
    return max(
        difference.width(end, alpha) + difference.width(end, 2 * (1 - POWER))
        for end in ("low", "high")
    )


def p_text(p: float) -> str:
    """Return a p-value as text: ``p = 0.031``, or ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def together(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict on a claim that is made of several: the worst of theirs."""
    found = set(verdicts)
    worst: tuple[Verdict, ...] = ("does not hold", "not tested", "cannot tell", "holds")
    return next(verdict for verdict in worst if verdict in found)
