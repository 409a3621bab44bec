from pathlib import Path

import numpy as np
import pytest

from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.evaluation.evaluate import evaluate
from reconpatch.settings.detection import MapSettings

IMAGE_SCORES = np.array([1.0, 2.0, 4.0, 3.0], dtype=np.float32)
ANOMALOUS = np.array([False, False, True, True])


def hot_corners() -> np.ndarray:
    """Maps of which each anomalous image's upper left corner is high."""
    patches = np.ones((4, 4, 4), dtype=np.float32)
    patches[2:, 0, 0] = 9
    return anomaly_maps(patches, 16, MapSettings(sigma=1.0))


def test_pixels_are_ranked_by_their_maps_in_the_masks_places() -> None:
    masks = np.zeros((4, 16, 16), dtype=np.bool_)
    masks[2:, :4, :4] = True
    found, replicates = evaluate(IMAGE_SCORES, ANOMALOUS, hot_corners(), masks, 0)
    assert found["reasons"] == {}
    assert found["metrics"]["image_auroc"] == 1
    assert found["metrics"]["pixel_auroc"] > 0.99
    # Means 1.5 and 3.5, each with a variance of a quarter.
    assert found["metrics"]["discriminability_index"] == pytest.approx(4)
    assert {len(resampled) for resampled in replicates.values()} == {1000}
    assert np.nanmean(replicates["discriminability_index"]) > 4  # Fewer images vary less.
    assert replicates["pixel_auroc"].mean() > 0.99
    elsewhere, _ = evaluate(IMAGE_SCORES, ANOMALOUS, hot_corners(), masks[:, ::-1], 0)
    assert elsewhere["metrics"]["pixel_auroc"] < 0.5


@pytest.mark.parametrize(
    ("masks", "reason"),
    [(None, "no masks"), (np.zeros((4, 16, 16), dtype=np.bool_), "within the crop")],
)
def test_a_metric_that_cannot_be_had_says_why(masks: np.ndarray | None, reason: str) -> None:
    even = np.array([1.0, 1.0, 2.0, 2.0], dtype=np.float32)
    found, replicates = evaluate(even, ANOMALOUS, hot_corners(), masks, 0)
    of_images = ("image_auroc", "image_ap", "image_f1_max")
    of_pixels = ("pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro_30", "aupro_5")
    assert found["metrics"] == {
        **dict.fromkeys(of_images, 1),
        **dict.fromkeys(of_pixels),
        "discriminability_index": None,
    }
    assert set(replicates) == set(of_images)
    assert all(reason in found["reasons"][name] for name in of_pixels)
    assert "vary" in found["reasons"]["discriminability_index"]


def test_metrics_are_those_that_anomalib_and_adeval_record() -> None:
    """As ``tests/oracles/record_field_metrics.py`` recorded them."""
    with np.load(Path(__file__).parents[1] / "oracles" / "field_metrics.npz") as record:
        maps, masks = record["maps"].astype(np.float32), record["masks"]
        theirs = {name: float(record[name]) for name in record.files if record[name].ndim == 0}
    assert len(theirs) == 7
    found = evaluate(maps.max(axis=(1, 2)), masks.any(axis=(1, 2)), maps, masks, 0)[0]["metrics"]
    for name, value in theirs.items():
        assert found[name.partition("_")[2]] == pytest.approx(value, abs=1e-4), name
