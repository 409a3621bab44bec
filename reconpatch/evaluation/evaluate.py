"""A run's metrics from its scores (Section 4.1)."""

from typing import Any

import numpy as np
import numpy.typing as npt

from reconpatch.detection import anomaly_maps
from reconpatch.evaluation.auroc import auroc
from reconpatch.evaluation.discriminability import discriminability_index
from reconpatch.recipe import DetectionSettings

Array = npt.NDArray[np.float32]


def evaluate(
    image_scores: Array,
    patch_scores: Array,
    anomalous: npt.NDArray[np.bool_],
    masks: npt.NDArray[np.bool_] | None,
    settings: DetectionSettings,
) -> dict[str, Any]:
    """Return ``metrics`` in [0, 1] (d' from 0 up) and, for each that is None, its reason.

    Args:
        image_scores: ``(N,)``.
        patch_scores: ``(N, h, w)``.
        anomalous: the images' labels, ``(N,)``.
        masks: ``(N, size, size)``, or None where the category has none.
        settings: how maps are made of patch scores.
    """
    metrics: dict[str, float | None] = {
        "image_auroc": auroc(image_scores, anomalous),
        "pixel_auroc": None,
        "discriminability_index": discriminability_index(
            image_scores[~anomalous], image_scores[anomalous]
        ),
    }
    reasons = {}
    if masks is None:
        reasons["pixel_auroc"] = "the category has no masks"
    elif not masks.any():
        reasons["pixel_auroc"] = "no defective pixel lies within the crop"
    else:
        maps = anomaly_maps(patch_scores, masks.shape[1], settings)
        metrics["pixel_auroc"] = auroc(maps, masks)
    if metrics["discriminability_index"] is None:
        reasons["discriminability_index"] = "neither normal nor anomalous scores vary"
    return {"metrics": metrics, "reasons": reasons}
