import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconpatch.evaluation.discriminability import (
    discriminability_index,
    discriminability_replicates,
)
from tests import naive

SCORES = st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=20)


@given(normal=SCORES, anomalous=SCORES)
@settings(max_examples=60, deadline=None)
def test_the_index_is_equation_12_or_none_where_nothing_varies(
    normal: list[float], anomalous: list[float]
) -> None:
    found = discriminability_index(
        np.array(normal, dtype=np.float32), np.array(anomalous, dtype=np.float32)
    )
    if len(set(normal)) == len(set(anomalous)) == 1:
        assert found is None
    else:
        expected = naive.eq12_discriminability_index(normal, anomalous)
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_one_class_without_spread_still_has_an_index() -> None:
    # Means 1 and 5, variances 0 and 8.
    assert discriminability_index(
        np.array([1.0, 1.0]), np.array([5 - 8**0.5, 5 + 8**0.5])
    ) == pytest.approx(2.0)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_replicates_are_the_index_of_the_images_drawn(data: st.DataObject) -> None:
    labels = np.array(data.draw(st.permutations([True] * 3 + [False] * 4)))
    scores = np.array(data.draw(st.lists(st.integers(-9, 9), min_size=7, max_size=7)), np.float32)
    counts = np.array(data.draw(st.lists(st.integers(1, 3), min_size=7, max_size=7)))
    (found,) = discriminability_replicates(scores + 1000, labels, counts[None])
    drawn, labels = np.repeat(scores, counts), np.repeat(labels, counts)
    expected = discriminability_index(drawn[~labels], drawn[labels])
    if expected is None:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)
