import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from reconpatch.reporting import categories


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_the_curve_is_exact_where_it_has_no_more_points_than_are_drawn(data: st.DataObject) -> None:
    labels = np.array(data.draw(st.permutations([True] * 4 + [False] * 5)))
    scores = np.array(data.draw(st.lists(st.integers(0, 6), min_size=9, max_size=9)), float)
    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert categories.roc_curve(scores, labels) == [
        (pytest.approx(x), pytest.approx(y)) for x, y in zip(false, true, strict=True)
    ]


def test_a_long_curve_keeps_its_area_and_its_ends() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(50_000) < 0.02
    scores = rng.normal(size=50_000) + 2 * labels
    points = np.array(categories.roc_curve(scores, labels))
    assert len(points) <= categories.POINTS
    assert (points[0].tolist(), points[-1].tolist()) == ([0, 0], [1, 1])
    area = np.trapezoid(points[:, 1], points[:, 0])
    assert area == pytest.approx(roc_auc_score(labels, scores), abs=1e-3)
