"""What the networks take on a GPU: backbones with aggregation, and the refinement network."""

from functools import cache
from pathlib import Path

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from reconpatch.features.aggregation import patch_features
from reconpatch.features.backbones import Backbone
from reconpatch.features.weights import Weights
from reconpatch.planning.counting import Work, counted, times
from reconpatch.planning.untrained import untrained_backbone
from reconpatch.refinement.losses import focal_loss, l1_loss
from reconpatch.refinement.network import RefinementNetwork
from reconpatch.settings.features import FeatureSettings
from reconpatch.settings.refinement import RefinementSettings

PIXELS = 64 * 224**2
"""How many pixels of images go through a backbone at once on a GPU."""


def backbone_work(settings: FeatureSettings) -> Work:
    """Return an image's share of a whole batch's way through the backbone."""
    return _backbone_work(settings.backbone, settings.layers, settings.size)[0]


@cache
def aggregation_work(settings: FeatureSettings) -> Work:
    """Return an image's share of what makes patch features of a batch's maps on a GPU.

    The aggregation has ways of its own there; torch's FakeTensorMode takes them without one.
    """
    if settings.aggregation == "none":
        return Work()
    count = _at_once(settings.size)
    _, shapes = _backbone_work(settings.backbone, settings.layers, settings.size)
    with FakeTensorMode():
        maps = [
            torch.empty(shape, device="cuda").to(memory_format=torch.channels_last)
            for shape in shapes
        ]
        work = counted(lambda: patch_features(maps, settings))
    return times(work, 1 / count)


def _at_once(crop: int) -> int:
    return max(1, PIXELS // crop**2)


@cache
def _backbone_work(
    name: str, layers: tuple[int, ...], crop: int
) -> tuple[Work, tuple[torch.Size, ...]]:
    """An image's share of the work, and the shapes of a batch's maps."""
    network = untrained_backbone(FeatureSettings(backbone=name, layers=layers), norms=True)
    backbone = Backbone(network, (0.5,) * 3, (0.5,) * 3, Weights(Path(), "none", ""))
    count = _at_once(crop)
    images = torch.empty(count, 3, crop, crop, dtype=torch.uint8, device="meta")
    maps: list[torch.Tensor] = []
    work = counted(lambda: maps.extend(backbone(images)))
    return times(work, 1 / count), tuple(each.shape for each in maps)


@cache
def refinement_step(settings: RefinementSettings, size: int, images: int) -> Work:
    """Return a training step of the refinement network on some images of ``size`` pixels."""
    with torch.device("meta"):
        network = RefinementNetwork(settings, seed=0)
        batch = torch.empty(images, 3, size, size, dtype=torch.uint8)
        maps, masks = torch.empty(2, images, size, size)
    # On a GPU torch's default is to take all parameters together.
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        foreach=True,
    )

    def step() -> None:
        logits = network(batch, maps)
        loss = focal_loss(logits, masks, settings.focal_gamma, settings.focal_alpha)
        loss = loss + settings.l1_weight * l1_loss(logits, masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    # The first step also makes the momentum.
    step()
    return counted(step)


@cache
def refining(settings: RefinementSettings, size: int) -> Work:
    """Return an image's way through the trained refinement network."""
    with torch.device("meta"), torch.inference_mode():
        network = RefinementNetwork(settings, seed=0).eval()
        image = torch.empty(1, 3, size, size, dtype=torch.uint8)
        return counted(lambda: network(image, torch.empty(1, size, size)))
