"""Backbones without weights: as fast as trained ones, and of the same shape."""

from pathlib import Path

import timm
import torch

from reconpatch.features import Backbone, Weights, map_indices, timm_name
from reconpatch.settings import FeatureSettings


def untrained_backbone(settings: FeatureSettings, device: torch.device) -> Backbone:
    """Return the settings' backbone with random weights; nothing is read or downloaded.

    On the device ``meta`` nothing is computed either: only shapes come out.

    Raises:
        InputError: timm does not know the backbone, or it has no map at a layer's stride.
    """
    name = timm_name(settings.backbone)
    indices = map_indices(name, settings.layers)
    with device:
        network = timm.create_model(name, features_only=True, out_indices=indices)
    network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    config = timm.get_pretrained_cfg(name)
    none = Weights(Path(), "none", "")
    return Backbone(network, tuple(config.mean), tuple(config.std), none)
