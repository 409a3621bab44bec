import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from reconpatch.reporting.verdicts import Estimate, estimate, judge, together

NONE = np.array([])


@pytest.mark.parametrize(
    ("kind", "by", "low", "high", "verdict"),
    [
        ("ahead", 0.0, 0.1, 0.5, "holds"),
        ("ahead", 0.0, -0.5, -0.1, "does not hold"),
        ("ahead", 0.0, -0.1, 0.5, "cannot tell"),
        # Two perfect detectors.
        ("ahead", 0.0, 0.0, 0.0, "cannot tell"),
        ("ahead", 0.2, 0.1, 0.5, "cannot tell"),
        ("ahead", 0.2, 0.3, 0.5, "holds"),
        ("no worse", 0.0, 0.0, 0.5, "holds"),
        ("no worse", 0.0, 0.0, 0.0, "holds"),
        ("no worse", 0.0, -0.5, -0.1, "does not hold"),
        ("no worse", 0.0, -0.5, 0.0, "cannot tell"),
        ("no worse", -0.2, -0.1, 0.0, "holds"),
        ("level", 0.1, -0.1, 0.1, "holds"),
        ("level", 0.1, 0.2, 0.3, "does not hold"),
        ("level", 0.1, -0.3, -0.2, "does not hold"),
        ("level", 0.1, -0.05, 0.2, "cannot tell"),
        ("level", 0.1, -0.2, 0.2, "cannot tell"),
    ],
)
def test_a_verdict_takes_the_whole_interval(
    kind: str, by: float, low: float, high: float, verdict: str
) -> None:
    assert judge(kind, Estimate((low + high) / 2, low, high), by) == verdict


def test_without_an_interval_nothing_is_told() -> None:
    alone = estimate(np.array([5.0]), NONE)
    assert alone == Estimate(5.0, None, None)
    assert judge("ahead", alone, 0.0) == "cannot tell"


@pytest.mark.parametrize(
    ("kind", "by", "difference", "says"),
    [
        ("ahead", 0.0, 0.01, True),
        ("ahead", 0.0, 0.0, False),
        ("no worse", 0.0, 0.0, True),
        ("no worse", 0.0, -0.01, False),
        ("level", 0.1, -0.1, True),
        ("level", 0.1, 0.11, False),
    ],
)
def test_printed_figures_say_it_or_not(kind: str, by: float, difference: float, says: bool) -> None:
    printed = Estimate(difference, difference, difference)
    assert (judge(kind, printed, by) == "holds") is says


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=6))
def test_the_spread_over_seeds_alone_is_students_interval(by_seed: list[float]) -> None:
    figures = np.array(by_seed)
    found = estimate(figures, NONE)
    if np.ptp(figures) < 1e-6:
        assert (found.low, found.high) == pytest.approx((figures.mean(), figures.mean()), abs=1e-4)
        return
    low, high = ttest_1samp(figures, 0).confidence_interval(0.95)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_test_images_and_seeds_widen_the_interval_in_quadrature() -> None:
    replicates = np.linspace(-3, 5, 100_001)  # 95 % from -2.8 to 4.8, around 1.
    one = estimate(np.array([1.0]), replicates)
    assert (one.low, one.high) == (pytest.approx(-2.8), pytest.approx(4.8))
    seeds = np.array([0.0, 1.0, 2.0])
    spread = estimate(seeds, NONE).high - 1
    both = estimate(seeds, replicates)
    assert both.high - 1 == pytest.approx(np.hypot(3.8, spread))
    assert 1 - both.low == pytest.approx(np.hypot(3.8, spread))


def test_a_claim_of_several_checks_is_as_good_as_its_worst() -> None:
    assert together(["holds", "holds"]) == "holds"
    assert together(["holds", "cannot tell"]) == "cannot tell"
    assert together(["cannot tell", "not tested", "holds"]) == "not tested"
    assert together(["not tested", "does not hold", "holds"]) == "does not hold"
