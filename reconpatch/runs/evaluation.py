"""Scores and maps against a category's labels and masks."""

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from reconpatch.evaluation.evaluate import evaluate

if TYPE_CHECKING:
    from reconpatch.features.store import FeatureStore


def evaluate_scores(
    store: "FeatureStore", images: npt.NDArray[np.float32], maps: npt.NDArray[np.float32]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure image scores ``(N,)`` and maps ``(N, S, S)`` of a category; see ``evaluate``.

    All runs of a category share the resampled test images.
    """
    category = store.category
    masks = store.masks() if category.has_masks else None
    anomalous = np.array([sample.anomalous for sample in category.test])
    resampling_seed = zlib.crc32(f"{category.dataset} {category.name}".encode())
    return evaluate(images, anomalous, maps, masks, resampling_seed)
