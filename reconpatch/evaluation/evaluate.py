"""A run's metrics from its scores (Section 4.1)."""

from typing import Any

import numpy as np
import numpy.typing as npt

from reconpatch.evaluation.auroc import auroc_of
from reconpatch.evaluation.bootstrap import (
    image_replicates,
    precision_recall_replicates,
    resamplings,
)
from reconpatch.evaluation.discriminability import (
    discriminability_index,
    discriminability_replicates,
)
from reconpatch.evaluation.pixel_bootstrap import LIMITS, pixel_histograms, pixel_replicates
from reconpatch.evaluation.precision_recall import average_precision, f1_max
from reconpatch.evaluation.region_overlap import aupro, region_weights
from reconpatch.evaluation.thresholds import thresholds

Array = npt.NDArray[np.float32]
REPLICATES = 1000
PIXEL_METRICS = ("pixel_auroc", "pixel_ap", "pixel_f1_max", *LIMITS)
NO_DEFECT = "no defective pixel lies within the crop"


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
    of_images = thresholds(image_scores, anomalous)
    metrics: dict[str, float | None] = {
        "image_auroc": auroc_of(of_images),
        "image_ap": average_precision(of_images),
        "image_f1_max": f1_max(of_images),
        **dict.fromkeys(PIXEL_METRICS),
        "discriminability_index": discriminability_index(
            image_scores[~anomalous], image_scores[anomalous]
        ),
    }
    precision, f1 = precision_recall_replicates(image_scores, anomalous, counts)
    replicates = {
        "image_auroc": image_replicates(image_scores, anomalous, counts),
        "image_ap": precision,
        "image_f1_max": f1,
    }
    reasons = {}
    if masks is None or not masks.any():
        why = "the category has no masks" if masks is None else NO_DEFECT
        reasons.update(dict.fromkeys(PIXEL_METRICS, why))
    else:
        shares, regions = region_weights(masks)
        of_pixels = thresholds(maps, masks)
        metrics["pixel_auroc"] = auroc_of(of_pixels)
        metrics["pixel_ap"] = average_precision(of_pixels)
        metrics["pixel_f1_max"] = f1_max(of_pixels)
        for name, limit in LIMITS.items():
            metrics[name] = aupro(
                of_pixels, maps[masks], np.concatenate(shares), int(regions.sum()), limit
            )
        replicates |= pixel_replicates(pixel_histograms(maps, masks, shares, regions), counts)
    if metrics["discriminability_index"] is None:
        reasons["discriminability_index"] = "neither normal nor anomalous scores vary"
    else:
        replicates["discriminability_index"] = discriminability_replicates(
            image_scores, anomalous, counts
        )
    return {"metrics": metrics, "reasons": reasons}, replicates
