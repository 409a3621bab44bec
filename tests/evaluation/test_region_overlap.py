"""AU-PRO against a naive loop over regions and thresholds in double precision."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconpatch.evaluation.region_overlap import aupro, region_weights
from reconpatch.evaluation.thresholds import thresholds

SEEDS = st.integers(0, 2**32 - 1)


def measured(maps: np.ndarray, masks: np.ndarray, limit: float) -> float:
    shares, regions = region_weights(masks)
    found = thresholds(maps, masks)
    return aupro(found, maps[masks], np.concatenate(shares), int(regions.sum()), limit)


def regions_of(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    """Sets of defective pixels that touch, diagonals included, by a flood fill."""
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(mask), strict=True)}
    found = []
    while left:
        region, edge = set(), [left.pop()]
        while edge:
            y, x = edge.pop()
            region.add((y, x))
            beside = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= beside
            edge += beside
        found.append(region)
    return found


def naive(maps: np.ndarray, masks: np.ndarray, limit: float) -> float:
    """The area by a point for each distinct score of any pixel."""
    points = [(0.0, 0.0)]
    for threshold in np.unique(maps)[::-1]:
        above = maps >= threshold
        overlaps = [
            np.mean([above[image][place] for place in region])
            for image, mask in enumerate(masks)
            for region in regions_of(mask)
        ]
        points.append((above[~masks].mean(), float(np.mean(overlaps))))
    total = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        end = min(x1, limit)
        if x0 < end:
            y_end = y0 + (y1 - y0) * (end - x0) / (x1 - x0)
            total += (end - x0) * (y0 + y_end) / 2
    return total / limit


@given(seed=SEEDS, levels=st.sampled_from([1, 2, 5, 1000]), share=st.sampled_from([0.02, 0.3, 0.8]))
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("limit", [0.3, 0.05, 1.0])
def test_the_area_is_that_of_a_loop_over_regions(
    limit: float, seed: int, levels: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    masks = rng.random((3, 7, 8)) < share
    masks[0] = False
    masks[1, 2, 3] = True
    maps = np.round((rng.normal(size=masks.shape) + masks) * levels).astype(np.float32)
    assert measured(maps, masks, limit) == pytest.approx(naive(maps, masks, limit), abs=1e-12)


def test_a_small_region_counts_as_much_as_a_large_one() -> None:
    masks = np.zeros((1, 20, 20), dtype=np.bool_)
    masks[0, :10, :10] = True
    masks[0, 15, 15] = True  # A region of one pixel, and missed.
    maps = np.zeros((1, 20, 20), dtype=np.float32)
    maps[0, :10, :10] = 1
    maps[0, 15, 15] = -1
    assert measured(maps, masks, 0.3) == pytest.approx(0.5)


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_ranks_alone_count(seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks = rng.random((2, 6, 6)) < 0.3
    masks[0, 0, 0] = True
    maps = rng.normal(size=masks.shape).astype(np.float32)
    assert measured(maps, masks, 0.3) == measured(np.exp(maps).astype(np.float64), masks, 0.3)


def test_a_perfect_map_has_one_and_a_constant_one_half_the_limit() -> None:
    masks = np.zeros((2, 8, 8), dtype=np.bool_)
    masks[1, 2:4, 2:4] = True
    assert measured(masks.astype(np.float32), masks, 0.3) == 1
    # All pixels pass together: a straight line from nothing to all.
    assert measured(np.zeros(masks.shape, np.float32), masks, 0.3) == pytest.approx(0.15)
