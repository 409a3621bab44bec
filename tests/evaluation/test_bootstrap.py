from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconpatch.evaluation.auroc import auroc
from reconpatch.evaluation.bootstrap import (
    image_replicates,
    interval,
    precision_recall_replicates,
    resamplings,
)
from reconpatch.evaluation.evaluate import evaluate
from reconpatch.evaluation.pixel_bootstrap import pixel_histograms, pixel_replicates
from reconpatch.evaluation.precision_recall import average_precision, f1_max
from reconpatch.evaluation.region_overlap import region_weights
from reconpatch.evaluation.thresholds import thresholds

MODULE = import_module("reconpatch.evaluation.pixel_bootstrap")
SEEDS = st.integers(0, 2**32 - 1)


def repeated_auroc(scores: np.ndarray, anomalous: np.ndarray, counts: np.ndarray) -> float:
    """The AUROC of the images written out as often as they are drawn."""
    return auroc(np.repeat(scores, counts, axis=0), np.repeat(anomalous, counts, axis=0))


def by_pixel(maps: np.ndarray, masks: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    return pixel_replicates(pixel_histograms(maps, masks, *region_weights(masks)), counts)


def labelled_maps(
    rng: np.random.Generator, size: int, levels: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maps of three normal and four anomalous images, scores in so many levels; masks, labels."""
    masks = rng.random((7, size, size)) < 0.2
    masks[:3] = False
    masks[3:, 0, 0] = True
    offsets = rng.normal(size=(7, 1, 1))
    maps = rng.normal(size=masks.shape) + offsets + masks
    return np.round(maps * levels).astype(np.float32), masks, np.arange(7) >= 3


@given(
    normal=st.lists(st.integers(0, 6), min_size=1, max_size=12),
    anomalous=st.lists(st.integers(0, 6), min_size=1, max_size=12),
    seed=SEEDS,
)
@settings(max_examples=60, deadline=None)
def test_a_replicate_is_the_auroc_of_the_images_written_out(
    normal: list[int], anomalous: list[int], seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(len(normal) + len(anomalous))
    scores = np.array(normal + anomalous, dtype=np.float32)[order]
    labels = (np.arange(len(order)) >= len(normal))[order]
    counts = resamplings(labels, 5, seed)
    expected = [repeated_auroc(scores, labels, drawn) for drawn in counts]
    assert image_replicates(scores, labels, counts) == pytest.approx(expected, abs=1e-12)


@given(seed=SEEDS, levels=st.sampled_from([1, 8, 10_000]), bins=st.sampled_from([8, 64, 192]))
@settings(max_examples=60, deadline=None)
def test_a_pixel_replicate_is_off_by_no_more_than_the_bound(
    seed: int, levels: int, bins: int
) -> None:
    maps, masks, labels = labelled_maps(np.random.default_rng(seed), 12, levels)
    counts = resamplings(labels, 5, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "BINS", bins)
        found = by_pixel(maps, masks, counts)["pixel_auroc"]
    normal = (~masks).sum(axis=(1, 2))
    bounds = counts.max(axis=1) * normal.sum() / (2 * bins * (counts @ normal))
    if masks.sum() <= bins:
        bounds[:] = 1e-12
    expected = [repeated_auroc(maps, masks, drawn) for drawn in counts]
    assert (np.abs(found - expected) < bounds).all()


def test_each_image_once_is_the_plain_auroc_though_bins_come_from_a_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    maps, masks, _ = labelled_maps(np.random.default_rng(0), 120, 10_000)
    monkeypatch.setattr(MODULE, "SAMPLE", 20_000)
    (found,) = by_pixel(maps, masks, np.ones((1, 7), dtype=np.int64))["pixel_auroc"]
    assert found == pytest.approx(auroc(maps, masks), abs=1e-5)


def test_a_flat_background_is_a_bin_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "BINS", 4)
    maps = np.zeros((2, 10, 10), dtype=np.float32)
    masks = np.zeros_like(maps, dtype=np.bool_)
    masks[1, 0, :5] = True
    # Every other one of the defect's scores is a quantile: the one next to the background is not.
    maps[masks] = np.finfo(np.float32).tiny * np.array([-1, 1, 2, 3, 4])
    counts = np.array([[1, 1], [0, 3]])
    assert by_pixel(maps, masks, counts)["pixel_auroc"] == pytest.approx(4 / 5, abs=1e-12)


@given(seed=SEEDS, levels=st.sampled_from([1, 3, 1000]))
@settings(max_examples=60, deadline=None)
def test_replicates_of_precision_are_those_of_the_images_written_out(
    seed: int, levels: int
) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, 20).astype(np.float32)
    labels = rng.permutation(20) < 8
    counts = resamplings(labels, 5, seed)
    for found, exact in zip(
        precision_recall_replicates(scores, labels, counts),
        (average_precision, f1_max),
        strict=True,
    ):
        expected = [
            exact(thresholds(np.repeat(scores, drawn), np.repeat(labels, drawn)))
            for drawn in counts
        ]
        assert found == pytest.approx(expected, abs=1e-12)


def test_each_image_once_gives_every_metrics_own_value_to_the_bins_width() -> None:
    maps, masks, labels = labelled_maps(np.random.default_rng(1), 120, 10_000)
    exact = evaluate(maps.max(axis=(1, 2)), labels, maps, masks, 0)[0]["metrics"]
    once = by_pixel(maps, masks, np.ones((1, 7), dtype=np.int64))
    assert set(once) == {"pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro_30", "aupro_5"}
    for name, found in once.items():
        assert found == pytest.approx(exact[name], abs=1e-3), name


def test_a_replicate_without_defective_pixels_has_no_pixel_metric() -> None:
    maps = np.arange(32, dtype=np.float32).reshape(2, 4, 4)
    masks = np.zeros_like(maps, dtype=np.bool_)
    masks[1, 0, 0] = True
    found = by_pixel(maps, masks, np.array([[2, 0], [1, 1]]))
    assert all(np.isnan(values).tolist() == [True, False] for values in found.values())


def test_replicates_keep_the_classes_sizes_and_follow_from_the_seed() -> None:
    anomalous = np.arange(30) % 3 == 0
    counts = resamplings(anomalous, 200, seed=4)
    assert (counts[:, anomalous].sum(axis=1) == 10).all()
    assert (counts[:, ~anomalous].sum(axis=1) == 20).all()
    assert (counts.max(axis=0) > 1).all()
    assert (counts.min(axis=0) == 0).all()
    assert (counts == resamplings(anomalous, 200, seed=4)).all()
    assert (counts != resamplings(anomalous, 200, seed=5)).any()


def test_replicates_spread_as_delong_estimates_and_differences_less() -> None:
    rng = np.random.default_rng(0)
    anomalous = np.arange(300) < 100
    first = rng.normal(size=300) + anomalous
    second = first + 0.2 * rng.normal(size=300)
    counts = resamplings(anomalous, 4000, seed=0)
    replicates = image_replicates(first, anomalous, counts)
    # DeLong et al. (1988): each image's own share of pairs, and the shares' variances.
    ahead = first[anomalous][:, None] > first[~anomalous]
    shares = ahead.mean(axis=1), ahead.mean(axis=0)
    deviation = np.sqrt(sum(np.var(share, ddof=1) / len(share) for share in shares))
    assert replicates.std() == pytest.approx(deviation, rel=0.05)
    low, high = interval(replicates)
    assert (high - low) / 2 == pytest.approx(1.96 * deviation, rel=0.05)
    differences = replicates - image_replicates(second, anomalous, counts)
    assert differences.std() < deviation / 2


def test_the_interval_leaves_out_as_much_on_either_side() -> None:
    assert interval(np.arange(101.0)[::-1], level=0.9) == pytest.approx((5, 95))


def test_without_two_classes_of_numbers_there_are_no_replicates() -> None:
    both, once = np.array([True, False]), np.ones((1, 2), dtype=np.int64)
    for labels in (np.array([True, True]), np.array([False, False])):
        with pytest.raises(ValueError, match="normal and anomalous"):
            resamplings(labels, 3, seed=0)
        assert np.isnan(image_replicates(np.array([1.0, 2.0]), labels, once)).all()
    # The only image with defective pixels is drawn by one of the two.
    maps, counts = np.array([[[2]], [[1]]], dtype=np.float32), np.array([[0, 2], [1, 1]])
    found = by_pixel(maps, both[:, None, None], counts)["pixel_auroc"]
    np.testing.assert_array_equal(found, [np.nan, 1])
    assert interval(found) == (1, 1)
    with pytest.raises(ValueError, match="not a number"):
        image_replicates(np.array([1.0, np.nan]), both, once)
    with pytest.raises(ValueError, match="not a number"):
        by_pixel(np.full((2, 1, 1), np.nan, dtype=np.float32), both[:, None, None], once)
