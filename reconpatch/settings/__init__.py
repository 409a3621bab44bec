"""Every choice that decides a number, validated and hashed. No torch: the workflow reads these."""

from reconpatch.settings.base import Settings, readable
from reconpatch.settings.composed import AnyRecipe, Ensemble, Refined
from reconpatch.settings.detection import DetectionSettings, MapSettings
from reconpatch.settings.features import AugmentationSettings, ExtractionSettings, FeatureSettings
from reconpatch.settings.recipe import Recipe
from reconpatch.settings.refinement import RefinementSettings
from reconpatch.settings.representation import (
    LinearMapSettings,
    PoolingSettings,
    RepresentationSettings,
)

__all__ = [
    "AnyRecipe",
    "AugmentationSettings",
    "DetectionSettings",
    "Ensemble",
    "ExtractionSettings",
    "FeatureSettings",
    "LinearMapSettings",
    "MapSettings",
    "PoolingSettings",
    "Recipe",
    "Refined",
    "RefinementSettings",
    "RepresentationSettings",
    "Settings",
    "readable",
]
