"""From images to patch features (Section 3.1)."""

from reconpatch.features.aggregation import concatenate, patch_features, pool_as_patchcore
from reconpatch.features.backbones import Backbone, map_indices
from reconpatch.features.extract import extract
from reconpatch.features.images import image_batches
from reconpatch.features.presets import presets, timm_name
from reconpatch.features.pretrained import find_weights, load_backbone, weights_here
from reconpatch.features.store import FeatureStore, Patches
from reconpatch.features.weights import Weights

__all__ = [
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
    "presets",
    "timm_name",
    "weights_here",
]
