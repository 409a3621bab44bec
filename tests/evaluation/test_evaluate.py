import numpy as np
import pytest

from reconpatch.evaluation import evaluate
from reconpatch.recipe import DetectionSettings

SETTINGS = DetectionSettings(map_sigma=1.0)
IMAGE_SCORES = np.array([1.0, 2.0, 4.0, 3.0], dtype=np.float32)
ANOMALOUS = np.array([False, False, True, True])


def hot_corners() -> np.ndarray:
    """Patch scores of which each anomalous image's upper left one is high."""
    patches = np.ones((4, 4, 4), dtype=np.float32)
    patches[2:, 0, 0] = 9
    return patches


def test_pixels_are_ranked_by_their_maps_in_the_masks_places() -> None:
    masks = np.zeros((4, 16, 16), dtype=np.bool_)
    masks[2:, :4, :4] = True
    found = evaluate(IMAGE_SCORES, hot_corners(), ANOMALOUS, masks, SETTINGS)
    assert found["reasons"] == {}
    assert found["metrics"]["image_auroc"] == 1
    assert found["metrics"]["pixel_auroc"] > 0.99
    # Means 1.5 and 3.5, each with a variance of a quarter.
    assert found["metrics"]["discriminability_index"] == pytest.approx(4)
    elsewhere = evaluate(IMAGE_SCORES, hot_corners(), ANOMALOUS, masks[:, ::-1], SETTINGS)
    assert elsewhere["metrics"]["pixel_auroc"] < 0.5


@pytest.mark.parametrize(
    ("masks", "reason"),
    [(None, "no masks"), (np.zeros((4, 16, 16), dtype=np.bool_), "within the crop")],
)
def test_a_metric_that_cannot_be_had_says_why(masks: np.ndarray | None, reason: str) -> None:
    even = np.array([1.0, 1.0, 2.0, 2.0], dtype=np.float32)
    found = evaluate(even, hot_corners(), ANOMALOUS, masks, SETTINGS)
    assert found["metrics"] == {
        "image_auroc": 1,
        "pixel_auroc": None,
        "discriminability_index": None,
    }
    assert reason in found["reasons"]["pixel_auroc"]
    assert "vary" in found["reasons"]["discriminability_index"]
