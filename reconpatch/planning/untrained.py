"""Backbones without weights, of the same shape as trained ones."""

from functools import cache

import timm
import torch
from torch import nn

from reconpatch.features.backbones import map_indices
from reconpatch.features.presets import timm_name
from reconpatch.settings.features import FeatureSettings

_indices = cache(map_indices)


@cache
def untrained_backbone(settings: FeatureSettings, *, norms: bool = False) -> nn.Module:
    """Return the settings' backbone on torch's device ``meta``.

    Nothing is read, downloaded or computed there: only shapes come out. They need no normalisation
    layers, which take most of the time on this device; ``norms`` keeps them.

    Raises:
        InputError: timm does not know the backbone, or it has no map at a layer's stride.
    """
    name = timm_name(settings.backbone)
    indices = _indices(name, settings.layers)
    with torch.device("meta"):
        network: nn.Module = timm.create_model(name, features_only=True, out_indices=indices)
    for part, module in list(network.named_modules()):
        if isinstance(module, nn.BatchNorm2d) and not norms:
            network.set_submodule(part, nn.Identity())
    return network.eval()
