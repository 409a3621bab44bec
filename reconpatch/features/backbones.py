"""ImageNet backbones through timm: which layers, which normalisation, which weights.

The paper's layers 1, 2, 3 are the residual stages of a WideResNet, at strides 4, 8 and 16; every
other architecture answers with its feature map at the same stride.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from reconpatch.features.weights import Weights, find_weights
from reconpatch.utils.errors import InputError

# The paper's backbones carry torchvision's first ImageNet weights, as PatchCore used them; timm's
# bare names would pick later ones.
TIMM_NAMES = {
    "wide_resnet50_2": "wide_resnet50_2.tv_in1k",
    "wide_resnet101_2": "wide_resnet101_2.tv_in1k",
    "resnext101_32x8d": "resnext101_32x8d.tv_in1k",
    "densenet201": "densenet201.tv_in1k",
    "efficientnet_lite0": "tf_efficientnet_lite0.in1k",
    "efficientnet_lite1": "tf_efficientnet_lite1.in1k",
    "efficientnet_lite2": "tf_efficientnet_lite2.in1k",
}


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


def map_indices(name: str, layers: tuple[int, ...]) -> list[int]:
    """Return which of the maps of backbone ``name`` are those of ``layers``, by their strides.

    Raises:
        InputError: timm does not know the name, or the model has no map at a layer's stride.
    """
    timm_name = TIMM_NAMES.get(name, name)
    if not timm.is_model(timm_name):
        raise InputError(
            f"Backbone {name} is neither a preset ({', '.join(TIMM_NAMES)}) nor a model that timm "
            f"{timm.__version__} knows; timm.list_models() lists those."
        )
    try:
        with torch.device("meta"):
            strides = timm.create_model(timm_name, features_only=True).feature_info.reduction()
    except (RuntimeError, AttributeError, AssertionError) as error:
        raise InputError(f"Backbone {name} cannot give feature maps: {error}") from None
    wanted = [2 ** (layer + 1) for layer in layers]
    if missing := [stride for stride in wanted if stride not in strides]:
        raise InputError(
            f"Backbone {name} has feature maps at strides {strides}, none at {missing}: layers "
            "1, 2 and 3 stand for strides 4, 8 and 16. Choose other layers or another backbone."
        )
    return [strides.index(stride) for stride in wanted]


def load_backbone(
    name: str, layers: tuple[int, ...], weights_folder: Path, device: torch.device
) -> Backbone:
    """Return the backbone ``name``, a preset or any timm model that can give feature maps.

    Raises:
        InputError: timm does not know the name, the model has no map at a layer's stride, or its
            weights are not found or do not fit.
    """
    indices = map_indices(name, layers)
    timm_name = TIMM_NAMES.get(name, name)
    config = timm.get_pretrained_cfg(timm_name)
    weights = find_weights(name, timm_name, weights_folder)
    try:
        # A whole classifier takes its weights strictly; feature extractors alone would not notice
        # a missing tensor.
        whole = timm.create_model(
            timm_name, pretrained=True, pretrained_cfg_overlay={"state_dict": weights.tensors()}
        )
    except (RuntimeError, KeyError) as error:
        raise InputError(f"The weights in {weights.source} do not fit {name}: {error}") from None
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
