"""Scores and maps against a category's labels and masks."""

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.evaluation.auroc import auroc
from reconpatch.evaluation.evaluate import evaluate
from reconpatch.runs.score_files import read_scores

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from reconpatch.features.store import FeatureStore
    from reconpatch.settings.recipe import Recipe


def evaluate_scores(
    store: "FeatureStore", images: npt.NDArray[np.float32], maps: npt.NDArray[np.float32]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure image scores ``(N,)`` and maps ``(N, S, S)`` of a category; see ``evaluate``.

    All runs of a category share the resampled test images.
    """
    category = store.category
    anomalous, masks = _labels(store)
    resampling_seed = zlib.crc32(f"{category.dataset} {category.name}".encode())
    return evaluate(images, anomalous, maps, masks, resampling_seed)


def evaluate_epochs(
    store: "FeatureStore", epochs: "Mapping[int, Path]", recipe: "Recipe"
) -> tuple[dict[str, list[Any]], dict[str, float], dict[str, str]]:
    """Measure the scores of test images at epochs of a training.

    Args:
        store: the category's features.
        epochs: the files of the scores, by epoch.
        recipe: of the run.

    Returns:
        ``epoch``, ``image_auroc`` and ``pixel_auroc`` side by side; metrics in [0, 1]: the best of
        each and what it is better by than the last, as which it would stand in a table that had
        chosen the epoch on the test images; and reasons for those that are not there.
    """
    anomalous, masks = _labels(store)
    along: dict[str, list[Any]] = {"epoch": list(epochs), "image_auroc": [], "pixel_auroc": []}
    for path in epochs.values():
        scores = read_scores(path)
        along["image_auroc"].append(auroc(scores.images, anomalous))
        if masks is not None and masks.any():
            maps = anomaly_maps(scores.patches, recipe.features.size, recipe.maps)
            along["pixel_auroc"].append(auroc(maps, masks))
    metrics: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for name in ("image_auroc", "pixel_auroc"):
        if values := along[name]:
            metrics[f"best_{name}"] = max(values)
            metrics[f"{name}_optimism"] = max(values) - values[-1]
        else:
            why = "it has no masked defects" if epochs else "it is not trained by epochs"
            reasons |= dict.fromkeys((f"best_{name}", f"{name}_optimism"), why)
    return along, metrics, reasons


def _labels(
    store: "FeatureStore",
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_] | None]:
    """Which test images are anomalous, and their masks where there are any."""
    category = store.category
    masks = store.masks() if category.has_masks else None
    return np.array([sample.anomalous for sample in category.test]), masks
