"""Scores of methods that take an image's from its anomaly map."""

from reconpatch.detection.anomaly_map import Maps, anomaly_maps
from reconpatch.detection.scores import Scores
from reconpatch.settings.recipe import Recipe


def smoothed_scores(patches: Maps, recipe: Recipe) -> Scores:
    """Return patch scores ``(N, h, w)`` with the largest of each image's smoothed map."""
    maps = anomaly_maps(patches, recipe.features.size, recipe.maps)
    return Scores(maps.max(axis=(1, 2)), patches)
