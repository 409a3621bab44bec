from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from reconpatch.evaluation.auroc import POINTS, auroc, roc_curve
from tests import naive

MODULE = import_module("reconpatch.evaluation.thresholds")


@st.composite
def labelled(draw: st.DrawFn) -> tuple[list[float], list[bool]]:
    """Scores with many ties, of two classes of which either may be the rarer."""
    classes = [draw(st.lists(st.integers(0, 6).map(float), min_size=1, max_size=25)) for _ in "+-"]
    pairs = [(score, kind == 0) for kind, scores in enumerate(classes) for score in scores]
    scores, anomalous = zip(*draw(st.permutations(pairs)), strict=True)
    return list(scores), list(anomalous)


@given(drawn=labelled(), block=st.sampled_from([1, 3, 1 << 22]))
@settings(max_examples=100, deadline=None)
def test_auroc_counts_pairs_and_half_of_ties_over_any_blocks(
    drawn: tuple[list[float], list[bool]], block: int
) -> None:
    scores, anomalous = drawn
    given_scores = np.array(scores, dtype=np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "BLOCK", block)
        found = auroc(given_scores, np.array(anomalous))
    assert found == pytest.approx(naive.auroc(scores, anomalous), abs=1e-12)
    assert found == pytest.approx(roc_auc_score(anomalous, scores), abs=1e-12)
    assert given_scores.tolist() == scores


def test_pixels_of_many_maps_have_the_auroc_of_their_flat_list() -> None:
    rng = np.random.default_rng(0)
    anomalous = rng.random((3, 40, 50)) < 0.02
    scores = (rng.normal(size=anomalous.shape) + anomalous).astype(np.float32)
    expected = roc_auc_score(anomalous.ravel(), scores.ravel())
    assert auroc(scores, anomalous) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "anomalous", "message"),
    [
        ([1.0, np.nan], [True, False], "not a number"),
        ([1.0, 2.0], [True, True], "normal and anomalous"),
        ([1.0, 2.0], [False, False], "normal and anomalous"),
    ],
)
def test_without_two_classes_of_numbers_there_is_no_auroc(
    scores: list[float], anomalous: list[bool], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        auroc(np.array(scores), np.array(anomalous))


@given(drawn=labelled())
@settings(max_examples=50, deadline=None)
def test_the_area_under_the_curve_is_the_auroc(drawn: tuple[list[float], list[bool]]) -> None:
    scores, anomalous = (np.array(side) for side in drawn)
    false, true = roc_curve(scores, anomalous)
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    area = float(np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2))
    assert area == pytest.approx(naive.auroc(*drawn), abs=1e-12)


def test_a_curve_of_many_pixels_keeps_few_points_and_its_area() -> None:
    rng = np.random.default_rng(0)
    anomalous = rng.random((80, 80)) < 0.05
    scores = rng.normal(size=(80, 80)) + anomalous
    false, true = roc_curve(scores, anomalous)
    assert len(false) <= POINTS + 1
    area = np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2)
    assert area == pytest.approx(auroc(scores, anomalous), abs=0.005)
