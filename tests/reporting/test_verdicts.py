from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import nct, norm, ttest_1samp
from scipy.stats import t as student

from reconpatch.reporting.verdicts import (
    Estimate,
    detectable,
    estimate,
    judge,
    leans,
    p_text,
    p_value,
    together,
)

NONE = np.array([])
Z = norm.ppf(0.975)


def interval_of(low: float, high: float) -> Estimate:
    """An estimate of one seed in the middle of its 95 % interval."""
    middle = (low + high) / 2
    return Estimate(middle, middle - low, high - middle)


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
    assert judge(kind, interval_of(low, high), by) == verdict


def test_without_an_interval_nothing_is_told() -> None:
    alone = estimate(np.array([5.0]), NONE)
    assert (alone.value, alone.low, alone.high) == (5.0, None, None)
    assert judge("ahead", alone, 0.0) == "cannot tell"
    assert p_value("ahead", alone, 0.0) is None
    assert detectable(alone, 0.05) is None


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
    assert (judge(kind, Estimate(difference), by) == "holds") is says


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


@pytest.mark.parametrize(
    ("kind", "by", "found", "p"),
    [
        # A normal estimate one, two, three standard errors from the bound.
        ("ahead", 0.0, Estimate(1.0, Z, Z), 0.3173),
        ("ahead", 0.0, Estimate(-2.0, Z, Z), 0.0455),
        ("ahead", 0.5, Estimate(3.5, Z, Z), 0.0027),
        ("no worse", -1.0, Estimate(1.0, Z, Z), 0.0455),
        # Each side has its own width, and the one that faces the bound counts.
        ("ahead", 0.0, Estimate(2.0, 2 * Z, 9.0), 0.3173),
        ("ahead", 0.0, Estimate(-2.0, 9.0, Z), 0.0455),
        # Two seeds alone: Student's t with one degree of freedom is Cauchy's, 1 is its quartile.
        ("ahead", 0.0, Estimate(1.0, standard_error=1.0, seeds=2, resampled=False), 0.5),
        # Within both bounds the nearer one counts, outside them the one that was passed.
        ("level", 2.0, Estimate(1.0, Z, Z), 0.3173),
        ("level", 2.0, Estimate(0.0, Z, Z), 0.0455),
        ("level", 1.0, Estimate(-3.0, Z, Z), 0.0455),
        # Values that coincide, without and with an error.
        ("ahead", 0.0, Estimate(0.0), 1.0),
        ("no worse", 0.0, Estimate(0.0), 0.0),
        ("no worse", 0.0, Estimate(0.0, 1.0, 1.0), 1.0),
        ("level", 0.1, Estimate(0.0), 0.0),
        ("ahead", 0.0, Estimate(0.1), 0.0),
    ],
)
def test_a_p_value_is_that_of_the_bound_that_the_interval_reaches(
    kind: Any, by: float, found: Estimate, p: float
) -> None:
    assert p_value(kind, found, by) == pytest.approx(p, abs=1e-4)


widths = st.floats(0.01, 3)


@given(
    st.sampled_from(["ahead", "no worse", "level"]),
    st.floats(-5, 5),
    widths,
    widths,
    st.sampled_from([0.0, 0.2, 1.0]),
    st.integers(1, 4),
    st.floats(0, 1),
)
def test_p_is_below_five_percent_exactly_where_the_interval_decides(
    kind: Any, value: float, below: float, above: float, error: float, seeds: int, by: float
) -> None:
    found = Estimate(value, below, above, error if seeds > 1 else 0.0, seeds)
    p = p_value(kind, found, by)
    assert p is not None
    assume(abs(p - 0.05) > 1e-9)
    assert (p < 0.05) == (judge(kind, found, by) != "cannot tell")
    if p < 0.05:
        assert leans(kind, found, by) == judge(kind, found, by)


def test_of_seeds_alone_p_is_students() -> None:
    by_seed = np.array([0.3, 0.9, 0.5, 0.2])
    assert p_value("ahead", estimate(by_seed, NONE), 0.1) == pytest.approx(
        ttest_1samp(by_seed, 0.1).pvalue
    )


def test_images_and_seeds_reach_a_bound_at_the_level_where_their_widths_do() -> None:
    found = Estimate(2.0, 1.5, 1.5, 0.4, 3)
    p = p_value("ahead", found, 0.0)
    assert p is not None
    images, seeds = norm.isf(p / 2) * 1.5 / Z, student.isf(p / 2, 2) * 0.4
    assert np.hypot(images, seeds) == pytest.approx(2.0)


def test_the_smallest_detectable_difference_by_hand() -> None:
    # One standard error is one point: 1.96 + 0.84 at 95 %, 2.58 + 0.84 at 99 %.
    assert detectable(Estimate(0.3, Z, Z), 0.05) == pytest.approx(2.8016, abs=1e-4)
    assert detectable(Estimate(0.3, Z, Z), 0.01) == pytest.approx(3.4175, abs=1e-4)
    # The wider side counts.
    assert detectable(Estimate(0.3, Z, 2 * Z), 0.05) == pytest.approx(2 * 2.8016, abs=1e-3)
    # Three seeds: Student's quantiles with two degrees of freedom, 4.303 and 1.061.
    seeds = Estimate(0.3, standard_error=1.0, seeds=3, resampled=False)
    assert detectable(seeds, 0.05) == pytest.approx(4.3027 + 1.0607, abs=1e-3)
    both = Estimate(0.3, Z, Z, 1.0, 3)
    assert detectable(both, 0.05) == pytest.approx(
        np.hypot(1.95996, 4.3027) + np.hypot(0.84162, 1.0607), abs=1e-3
    )


def test_the_smallest_detectable_difference_is_shown_four_times_in_five() -> None:
    rng = np.random.default_rng(0)
    least = detectable(Estimate(0.0, Z, Z), 0.05)
    shown = [judge("ahead", Estimate(v, Z, Z), 0.0) == "holds" for v in rng.normal(least, 1, 4000)]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.02)
    # Of few seeds the spread is estimated too, which the exact power allows for: within a tenth.
    least = detectable(Estimate(0.0, standard_error=1.0, seeds=5, resampled=False), 0.05)
    assert nct.sf(student.isf(0.025, 4), 4, least) == pytest.approx(0.8, abs=0.1)


def test_p_values_in_words() -> None:
    assert [p_text(p) for p in (0.0312, 0.00099, 0.0, 1.0)] == [
        "p = 0.031",
        "p < 0.001",
        "p < 0.001",
        "p = 1.000",
    ]
