"""ImageNet backbones through timm: which layers, which normalisation, which weights.

The paper's layers 1, 2, 3 are the residual stages of a WideResNet, at strides 4, 8 and 16; every
other architecture answers with its feature map at the same stride.
"""

import logging
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reconpatch.features.weights import Weights
from reconpatch.utils.errors import InputError


@dataclass(frozen=True)
class Backbone:
    """A frozen network that gives one feature map a layer.

    Attributes:
        network: maps normalised images ``(B, 3, H, W)`` to a list of feature maps
            ``(B, C, H / stride, W / stride)``, finest first.
        mean: what each colour channel, scaled to [0, 1], is lowered by.
        std: what it is then divided by.
        weights: where the network's weights came from.
    """

    network: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    weights: Weights

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps of images ``(B, 3, H, W)``, uint8."""
        mean, std = (
            torch.tensor(v, device=images.device).view(3, 1, 1) for v in (self.mean, self.std)
        )
        normalised = (images / 255 - mean) / std
        maps: list[Tensor] = self.network(normalised.contiguous(memory_format=torch.channels_last))
        return maps


def map_indices(timm_name: str, layers: tuple[int, ...]) -> list[int]:
    """Return which of a timm model's maps are those of ``layers``, by their strides.

    Raises:
        InputError: the model gives no feature maps, or none at a layer's stride.
    """
    # Only now: timm takes seconds to import, and most steps build no backbone.
    import timm

    try:
        with torch.device("meta"):
            strides = timm.create_model(timm_name, features_only=True).feature_info.reduction()
    except (RuntimeError, AttributeError, AssertionError) as error:
        raise InputError(f"Backbone {timm_name} cannot give feature maps: {error}") from None
    wanted = [2 ** (layer + 1) for layer in layers]
    if missing := [stride for stride in wanted if stride not in strides]:
        raise InputError(
            f"Backbone {timm_name} has feature maps at strides {strides}, none at {missing}: "
            "layers 1, 2 and 3 stand for strides 4, 8 and 16. Choose other layers or another "
            "backbone."
        )
    return [strides.index(stride) for stride in wanted]


def build_backbone(
    timm_name: str, indices: list[int], weights: Weights, device: torch.device
) -> Backbone:
    """Return a timm model that gives the maps at ``indices``, with these weights.

    Raises:
        InputError: the weights do not fit.
    """
    import timm

    config = timm.get_pretrained_cfg(timm_name)
    try:
        # A whole classifier takes its weights strictly; feature extractors alone would not notice
        # a missing tensor.
        whole = timm.create_model(
            timm_name, pretrained=True, pretrained_cfg_overlay={"state_dict": weights.tensors()}
        )
    except (RuntimeError, KeyError) as error:
        raise InputError(
            f"The weights in {weights.source} do not fit {timm_name}: {error}"
        ) from None
    # timm warns that a feature extractor has no use for the classifier's tensors.
    logging.getLogger("timm.models._builder").setLevel(logging.ERROR)
    network = timm.create_model(
        timm_name,
        pretrained=True,
        pretrained_cfg_overlay={"state_dict": whole.state_dict()},
        features_only=True,
        out_indices=indices,
    )
    network = network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
    return Backbone(network, tuple(config.mean), tuple(config.std), weights)
