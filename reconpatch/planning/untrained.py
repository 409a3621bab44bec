"""Backbones without weights: as fast as trained ones, and of the same shape."""

from pathlib import Path

import timm
import torch

from reconpatch.errors import InputError
from reconpatch.features import TIMM_NAMES, Backbone, Weights
from reconpatch.recipe import FeatureSettings


def untrained_backbone(settings: FeatureSettings, device: torch.device) -> Backbone:
    """Return the settings' backbone with random weights; nothing is read or downloaded.

    On the device ``meta`` nothing is computed either: only shapes come out.

    Raises:
        InputError: timm does not know the backbone, or it has no map at a layer's stride.
    """
    name = TIMM_NAMES.get(settings.backbone, settings.backbone)
    wanted = [2 ** (layer + 1) for layer in settings.layers]
    try:
        with torch.device("meta"):
            strides = timm.create_model(name, features_only=True).feature_info.reduction()
        with device:
            network = timm.create_model(
                name, features_only=True, out_indices=[strides.index(stride) for stride in wanted]
            )
    except (RuntimeError, AttributeError, AssertionError, ValueError) as error:
        raise InputError(
            f"Backbone {settings.backbone} cannot give feature maps of layers "
            f"{list(settings.layers)} ({error}): layers 1, 2 and 3 stand for strides 4, 8 and 16. "
            "Choose other layers, or another model that timm.list_models() names."
        ) from None
    network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    config = timm.get_pretrained_cfg(name)
    none = Weights(Path(), "none", "")
    return Backbone(network, tuple(config.mean), tuple(config.std), none)
