"""From images to patch features (Section 3.1)."""

from reconpatch.features.aggregation import concatenate, patch_features, pool_as_patchcore
from reconpatch.features.backbones import TIMM_NAMES, Backbone, load_backbone, map_indices
from reconpatch.features.extract import extract
from reconpatch.features.store import FeatureStore
from reconpatch.features.weights import Weights, find_weights

__all__ = [
    "TIMM_NAMES",
    "Backbone",
    "FeatureStore",
    "Weights",
    "concatenate",
    "extract",
    "find_weights",
    "load_backbone",
    "map_indices",
    "patch_features",
    "pool_as_patchcore",
]
