"""A run's metrics from its scores (Section 4.1)."""

from typing import Any

import numpy as np
import numpy.typing as npt

from reconpatch.evaluation.auroc import auroc
from reconpatch.evaluation.bootstrap import image_replicates, pixel_replicates, resamplings
from reconpatch.evaluation.discriminability import (
    discriminability_index,
    discriminability_replicates,
)

Array = npt.NDArray[np.float32]
REPLICATES = 1000


def evaluate(
    image_scores: Array,
    anomalous: npt.NDArray[np.bool_],
    maps: Array,
    masks: npt.NDArray[np.bool_] | None,
    resampling_seed: int,
) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.float64]]]:
    """Return ``metrics``, with ``reasons`` for each that is None, and their bootstrap replicates.

    Metrics are in [0, 1], except for d', which has no upper bound. Replicates ``(REPLICATES,)`` are
    the same metrics of resampled test images; a metric that is None has none.

    Args:
        image_scores: ``(N,)``.
        anomalous: the images' labels, ``(N,)``.
        maps: anomaly maps ``(N, size, size)``.
        masks: as the maps, or None where the category has none.
        resampling_seed: decides which images each replicate takes: one for all runs of a category,
            so that their differences are paired, and another for each category.
    """
    counts = resamplings(anomalous, REPLICATES, resampling_seed)
    metrics: dict[str, float | None] = {
        "image_auroc": auroc(image_scores, anomalous),
        "pixel_auroc": None,
        "discriminability_index": discriminability_index(
            image_scores[~anomalous], image_scores[anomalous]
        ),
    }
    replicates = {"image_auroc": image_replicates(image_scores, anomalous, counts)}
    reasons = {}
    if masks is None:
        reasons["pixel_auroc"] = "the category has no masks"
    elif not masks.any():
        reasons["pixel_auroc"] = "no defective pixel lies within the crop"
    else:
        metrics["pixel_auroc"] = auroc(maps, masks)
        replicates["pixel_auroc"] = pixel_replicates(maps, masks, counts)
    if metrics["discriminability_index"] is None:
        reasons["discriminability_index"] = "neither normal nor anomalous scores vary"
    else:
        replicates["discriminability_index"] = discriminability_replicates(
            image_scores, anomalous, counts
        )
    return {"metrics": metrics, "reasons": reasons}, replicates
