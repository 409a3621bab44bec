import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconpatch.reporting.embedding import embed, sample_patches


@given(
    images=st.integers(1, 9),
    h=st.integers(1, 6),
    w=st.integers(1, 6),
    count=st.integers(1, 200),
    seed=st.integers(0, 99),
)
def test_patches_are_distinct_known_by_their_place_and_shared_among_images(
    images: int, h: int, w: int, count: int, seed: int
) -> None:
    rows, positions = sample_patches(images, h, w, count, seed)
    assert len(set(rows.tolist())) == len(rows) == min(count, images * h * w)
    # Each patch of the flat array, labelled with its image and its place there.
    labels = np.stack(np.meshgrid(*map(np.arange, (images, h, w)), indexing="ij"), axis=-1)
    image, *place = labels.reshape(-1, 3)[rows].T
    np.testing.assert_array_equal(np.stack(place, axis=1), positions)
    shares = np.bincount(image, minlength=images)
    assert np.abs(shares - len(rows) / images).max() < 2


def test_another_seed_draws_other_patches_and_the_same_the_same() -> None:
    first, again, other = (sample_patches(5, 28, 28, 100, seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_two_groups_stay_apart_and_the_same_seed_gives_the_same_bits() -> None:
    # Half a minute when UMAP is compiled first.
    groups = np.repeat([0, 1], 40)
    features = np.random.default_rng(0).normal(size=(80, 8)) + 20 * groups[:, None]
    plane = embed(features.astype(np.float32), seed=3)
    assert plane.shape == (80, 2)
    distances = np.linalg.norm(plane[:, None] - plane, axis=-1)
    np.fill_diagonal(distances, np.inf)
    np.testing.assert_array_equal(groups[distances.argmin(axis=1)], groups)
    np.testing.assert_array_equal(embed(features.astype(np.float32), seed=3), plane)


def test_few_features_have_no_neighbourhoods() -> None:
    with pytest.raises(ValueError, match="more than 15 features, not 15"):
        embed(np.zeros((15, 4), np.float32), seed=0)
