import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.detection.ensemble import EnsembleMember, fuse, modified_z_score
from reconpatch.detection.scores import Scores
from reconpatch.settings.detection import MapSettings
from reconpatch.utils.errors import InputError
from tests import naive

VALUES = st.lists(st.integers(-1000, 1000).map(float), min_size=1, max_size=20)
DEVIATIONS = st.sampled_from(["median", "mean"])
IMAGES, SIZE = 5, 48
SEEDS = st.integers(0, 2**32)


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


def drawn_member(seed: int, grid: tuple[int, int]) -> EnsembleMember:
    """A model with a scale and an offset of its own; training scores are lower than test scores."""
    rng = np.random.default_rng(seed)
    scale, offset = rng.uniform(0.1, 10, size=2)

    def scores(images: int, least: float) -> Scores:
        patches = offset + scale * rng.gamma(least, size=(images, *grid))
        return Scores(patches.max(axis=(1, 2)).astype(np.float32), patches.astype(np.float32))

    return EnsembleMember(test=scores(IMAGES, 3), training=scores(21, 2))


def drawn_ensemble(seed: int) -> list[EnsembleMember]:
    return [
        drawn_member(seed + number, grid) for number, grid in enumerate([(6, 6), (4, 8), (12, 12)])
    ]


@given(seed=SEEDS, deviation=DEVIATIONS, upsampling=st.sampled_from(["bilinear", "nearest"]))
@settings(max_examples=20, deadline=None)
def test_fused_scores_are_the_mean_of_z_scored_image_scores_and_maps(
    seed: int, deviation: str, upsampling: str
) -> None:
    chosen = MapSettings(upsampling=upsampling)
    members = drawn_ensemble(seed)
    images, maps = fuse(members, SIZE, chosen, deviation)
    expected = [
        [
            naive.eq11_modified_z_score(score, member.training.images.tolist(), deviation)
            for score in member.test.images.tolist()
        ]
        for member in members
    ]
    np.testing.assert_allclose(images, np.mean(expected, axis=0), rtol=1e-5, atol=1e-5)
    # Here the maps are scaled, pixel by pixel, instead of the patch scores.
    scaled = [
        modified_z_score(
            anomaly_maps(member.test.patches, SIZE, chosen), member.training.patches, deviation
        )
        for member in members
    ]
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, np.mean(scaled, axis=0), rtol=1e-4, atol=1e-4)


@given(seed=SEEDS, deviation=DEVIATIONS)
@settings(max_examples=20, deadline=None)
def test_an_ensemble_of_one_ranks_images_and_pixels_as_its_model(seed: int, deviation: str) -> None:
    chosen = MapSettings()
    member = drawn_member(seed, (6, 6))
    images, maps = fuse([member], SIZE, chosen, deviation)
    assert np.array_equal(images.argsort(), member.test.images.argsort())
    ascending = anomaly_maps(member.test.patches, SIZE, chosen).ravel().argsort()
    # Pixels nearer to each other than rounding may change places.
    assert (np.diff(maps.ravel()[ascending]) > -1e-4).all()


@given(
    seed=SEEDS,
    deviation=DEVIATIONS,
    scale=st.floats(0.01, 100),
    shift=st.floats(-10, 10),
    which=st.integers(0, 2),
)
@settings(max_examples=20, deadline=None)
def test_one_members_scale_and_offset_and_the_members_order_do_not_matter(
    seed: int, deviation: str, scale: float, shift: float, which: int
) -> None:
    def moved(scores: Scores) -> Scores:
        return Scores(*(scale * (part + shift) for part in (scores.images, scores.patches)))

    members = drawn_ensemble(seed)
    images, maps = fuse(members, SIZE, MapSettings(), deviation)
    members[which] = EnsembleMember(moved(members[which].test), moved(members[which].training))
    turned = fuse(members[::-1], SIZE, MapSettings(), deviation)
    np.testing.assert_allclose(turned[0], images, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(turned[1], maps, rtol=1e-3, atol=1e-3)


def test_members_of_different_images_and_none_at_all_are_refused() -> None:
    member = drawn_member(0, (6, 6))
    fewer = Scores(member.test.images[:1], member.test.patches[:1])
    for members in ([], [member, EnsembleMember(fewer, member.training)]):
        with pytest.raises(ValueError, match="same images"):
            fuse(members, SIZE, MapSettings())


def test_without_scaling_the_plain_scores_are_averaged() -> None:
    rng = np.random.default_rng(0)
    members = [
        EnsembleMember(
            Scores(rng.random(IMAGES, np.float32), rng.random((IMAGES, 6, 6), np.float32)),
            # They do not vary, which matters to nobody here.
            Scores(np.ones(IMAGES, np.float32), np.ones((IMAGES, 6, 6), np.float32)),
        )
        for _ in range(2)
    ]
    images, maps = fuse(members, SIZE, MapSettings(), "none")
    plain = [member.test for member in members]
    np.testing.assert_allclose(images, np.mean([scores.images for scores in plain], axis=0))
    alone = [anomaly_maps(scores.patches, SIZE, MapSettings()) for scores in plain]
    np.testing.assert_allclose(maps, np.mean(alone, axis=0), rtol=1e-6)
