"""AP and F1 against scikit-learn's, which computes them another way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve

from reconpatch.evaluation.precision_recall import average_precision, f1_max
from reconpatch.evaluation.thresholds import thresholds

LABELLED = st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=60).filter(
    lambda pairs: 0 < sum(label for _, label in pairs) < len(pairs)
)


@given(LABELLED)
def test_ap_and_f1_are_scikit_learns(pairs: list[tuple[int, bool]]) -> None:
    scores = np.array([score for score, _ in pairs], dtype=np.float32)
    labels = np.array([label for _, label in pairs])
    found = thresholds(scores, labels)
    assert average_precision(found) == pytest.approx(average_precision_score(labels, scores))
    precision, recall, _ = precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    assert f1_max(found) == pytest.approx(f1.max())


def test_blocks_of_normal_scores_are_counted_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 40, 5000).astype(np.float32), rng.random(5000) < 0.1
    whole = thresholds(scores, labels)
    monkeypatch.setattr("reconpatch.evaluation.thresholds.BLOCK", 37)
    for ours, theirs in zip(thresholds(scores, labels), whole, strict=True):
        assert np.array_equal(ours, theirs)
    assert whole.false.tolist() == [
        int((scores[~labels] >= threshold).sum()) for threshold in whole.scores
    ]
    assert whole.false_above.tolist() == [
        int((scores[~labels] > threshold).sum()) for threshold in whole.scores
    ]


def test_perfect_scores_are_one_and_a_single_class_or_nan_is_refused() -> None:
    labels = np.array([False, True, True])
    found = thresholds(np.array([0.0, 1.0, 2.0]), labels)
    assert average_precision(found) == f1_max(found) == 1
    with pytest.raises(ValueError, match="normal and anomalous"):
        thresholds(np.zeros(3), np.ones(3, dtype=bool))
    with pytest.raises(ValueError, match="not a number"):
        thresholds(np.array([np.nan, 1.0, 2.0]), labels)
