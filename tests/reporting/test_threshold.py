from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from reconpatch.reporting.threshold import best_f1_threshold

MODULE = import_module("reconpatch.reporting.threshold")
# Few distinct scores, so that many are equal.
PIXELS = st.lists(st.tuples(st.integers(-4, 4).map(float), st.booleans()), min_size=1, max_size=40)


@given(
    pixels=PIXELS.filter(lambda p: any(is_anomalous for _, is_anomalous in p)),
    block=st.sampled_from([1, 3, 1 << 22]),
)
@settings(max_examples=100, deadline=None)
def test_no_threshold_is_better(pixels: list[tuple[float, bool]], block: int) -> None:
    scores, anomalous = (np.array(part) for part in zip(*pixels, strict=True))
    by_f1 = {float(t): f1_score(anomalous, scores >= t) for t in np.unique(scores)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "BLOCK", block)
        found = best_f1_threshold(scores.astype(np.float32), anomalous)
    assert by_f1[found] == pytest.approx(max(by_f1.values()), abs=1e-12)


def test_the_maps_of_a_category_have_one_threshold() -> None:
    rng = np.random.default_rng(0)
    masks = np.zeros((3, 8, 8), dtype=bool)
    masks[1:, 2:4, 2:4] = True
    maps = rng.uniform(0, 1, masks.shape).astype(np.float32)
    maps[masks] += 1
    threshold = best_f1_threshold(maps, masks)
    np.testing.assert_array_equal(maps >= threshold, masks)


@pytest.mark.parametrize(
    ("scores", "anomalous", "message"),
    [([1.0, np.nan], [True, False], "not a number"), ([1.0, 2.0], [False, False], "anomalous")],
)
def test_without_anomalous_numbers_there_is_no_f1(
    scores: list[float], anomalous: list[bool], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        best_f1_threshold(np.array(scores), np.array(anomalous))
