import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from reconpatch.evaluation.multiple_tests import (
    critical_difference,
    holm,
    mean_ranks,
    sign_test,
)

probabilities = st.lists(st.floats(0, 1), min_size=0, max_size=8)


def test_holm_by_hand() -> None:
    assert holm([]) == []
    assert holm([0.2]) == [0.2]
    # Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1, and never less than the one before.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.01, 0.01]) == pytest.approx([0.02, 0.02])
    assert holm([0.0, 1.0]) == [0.0, 1.0]


@given(probabilities, st.floats(0.001, 0.2))
def test_holm_rejects_what_its_steps_reject(p: list[float], alpha: float) -> None:
    """Holm's procedure as he states it: go on while the next smallest p is small enough."""
    rejected = set()
    for step, at in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if p[at] * (len(p) - step) > alpha:
            break
        rejected.add(at)
    assert {i for i, q in enumerate(holm(p)) if q <= alpha} == rejected


@given(probabilities)
def test_holm_is_statsmodels(p: list[float]) -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    if p:
        assert holm(p) == pytest.approx(multitest.multipletests(p, method="holm")[1])


@pytest.mark.parametrize(
    ("won", "lost", "p"), [(5, 0, 0.0625), (6, 0, 0.03125), (3, 1, 0.625), (2, 2, 1.0), (0, 0, 1.0)]
)
def test_the_sign_test_counts_all_splits_as_extreme(won: int, lost: int, p: float) -> None:
    assert sign_test(won, lost) == pytest.approx(p)
    assert sign_test(lost, won) == pytest.approx(p)
    if won + lost:
        assert sign_test(won, lost) == binomtest(won, won + lost, 0.5).pvalue


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**31))
def test_ranks_count_who_is_ahead_and_ties_share_theirs(rows: int, methods: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 4, (rows, methods)).astype(float)
    for method, rank in enumerate(mean_ranks(values)):
        by_row = [
            1 + sum(other > row[method] for other in row) + (list(row).count(row[method]) - 1) / 2
            for row in values
        ]
        assert rank == pytest.approx(np.mean(by_row))


def test_the_highest_value_is_first() -> None:
    np.testing.assert_array_equal(mean_ranks(np.array([[9.0, 7, 8], [5, 5, 6]])), [1.75, 2.75, 1.5])


# Demsar (2006), Table 5a: q at 0.05 and 0.10 of 2 to 10 classifiers.
NEMENYI = {
    0.95: [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164],
    0.90: [1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920],
}


@pytest.mark.parametrize("level", NEMENYI)
def test_the_critical_difference_is_demsars(level: float) -> None:
    for methods, q in enumerate(NEMENYI[level], 2):
        expected = q * np.sqrt(methods * (methods + 1) / (6 * 14))
        assert critical_difference(methods, 14, level) == pytest.approx(expected, abs=1e-3)


def test_his_example_of_four_classifiers_over_fourteen_data_sets() -> None:
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
