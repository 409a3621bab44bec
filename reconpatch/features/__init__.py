"""From images to patch features (Section 3.1)."""

from reconpatch.features.aggregation import concatenate, patch_features, pool_as_patchcore
from reconpatch.features.backbones import TIMM_NAMES, Backbone, load_backbone, map_indices
from reconpatch.features.extract import extract
from reconpatch.features.images import image_batches
from reconpatch.features.store import FeatureStore, Patches
from reconpatch.features.weights import Weights, find_weights, weights_here

__all__ = [
    "TIMM_NAMES",
    "Backbone",
    "FeatureStore",
    "Patches",
    "Weights",
    "concatenate",
    "extract",
    "find_weights",
    "image_batches",
    "load_backbone",
    "map_indices",
    "patch_features",
    "pool_as_patchcore",
    "weights_here",
]
