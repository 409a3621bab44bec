import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconpatch.detection import modified_z_score
from reconpatch.errors import InputError
from tests import naive

VALUES = st.lists(st.integers(-1000, 1000).map(float), min_size=1, max_size=20)
DEVIATIONS = st.sampled_from(["median", "mean"])


def varies(reference: list[float], deviation: str) -> bool:
    distances = np.abs(np.array(reference) - np.median(reference))
    return bool(np.median(distances) if deviation == "median" else distances.any())


@given(scores=VALUES, reference=VALUES, deviation=DEVIATIONS)
@settings(max_examples=60, deadline=None)
def test_scores_are_scaled_by_equation_11_or_refused(
    scores: list[float], reference: list[float], deviation: str
) -> None:
    given_scores = np.array(scores, dtype=np.float32)
    if not varies(reference, deviation):
        with pytest.raises(InputError, match="do not vary"):
            modified_z_score(given_scores, np.array(reference), deviation)
        return
    expected = [naive.eq11_modified_z_score(score, reference, deviation) for score in scores]
    found = modified_z_score(given_scores, np.array(reference), deviation)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@given(
    scores=VALUES,
    reference=VALUES,
    deviation=DEVIATIONS,
    # Powers of two and whole numbers keep the arithmetic exact, so that equality can be asked for.
    scale=st.sampled_from([0.25, 0.5, 2.0, 1024.0]),
    shift=st.integers(-1000, 1000),
)
@settings(max_examples=60, deadline=None)
def test_a_models_scale_and_offset_do_not_matter(
    scores: list[float], reference: list[float], deviation: str, scale: float, shift: int
) -> None:
    if not varies(reference, deviation):
        return
    plain = modified_z_score(np.array(scores), np.array(reference), deviation)
    moved = modified_z_score(
        scale * np.array(scores) + shift, scale * np.array(reference) + shift, deviation
    )
    np.testing.assert_array_equal(plain, moved)


def test_the_scale_is_the_standard_deviation_of_a_normal_distribution() -> None:
    reference = np.random.default_rng(0).normal(5, 3, size=100_001)
    # The median absolute deviation of so many draws is known to within about 0.4 per cent.
    np.testing.assert_allclose(modified_z_score(np.array([11.0]), reference), 2.0, rtol=0.02)
