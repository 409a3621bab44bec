"""Backbones and aggregation: the CPU's features beside the GPU's, images a second, memory."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import timm
import torch
from torch import Tensor

from benchmarks.gpu_check.check import Check, Outcome
from benchmarks.gpu_check.compare import agreement, together, worst
from benchmarks.gpu_check.meter import MIB, DevicePeak, seconds_of
from benchmarks.gpu_check.setup import Setup
from reconpatch.features.aggregation import patch_features
from reconpatch.features.backbones import Backbone, map_indices
from reconpatch.features.presets import timm_name
from reconpatch.features.weights import Weights
from reconpatch.settings.features import FeatureSettings
from reconpatch.utils.halving import Blocks

LAYERS = (2, 3)
ALLOWED = 1e-4
"""Of the norm: rounding in single precision, added up over a hundred convolutions."""

BATCH_GIB = 4
"""What a batch of images and its patch features take on a GPU at most (docs/gpu.md)."""

AGGREGATIONS = {
    "concatenated, p = 3": FeatureSettings(),
    "concatenated, p = 5, three layers": FeatureSettings(layers=(1, 2, 3), patch_size=5),
    "concatenated without padding": FeatureSettings(border="inside", scaling="unit_norm"),
    "pooled as PatchCore does": FeatureSettings(
        aggregation="patchcore", layer_dimension=1024, target_dimension=1024
    ),
}


@cache
def _on_cpu(name: str) -> Backbone:
    """A backbone with seeded random weights: normalisation layers of about one, none of zero."""
    known_as = timm_name(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model(
            known_as, features_only=True, out_indices=map_indices(known_as, LAYERS)
        )
        for part in network.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.weight.data.uniform_(0.5, 1.5)
    network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    config = timm.get_pretrained_cfg(known_as)
    return Backbone(network, config.mean, config.std, Weights(Path(), "random", ""))


def random_backbone(name: str, device: torch.device) -> Backbone:
    """Return a preset's backbone with weights of its own, the same on every device."""
    here = _on_cpu(name)
    return replace(here, network=copy.deepcopy(here.network).to(device))


def drawn_images(count: int, side: int) -> Tensor:
    """Return uint8 images ``(count, 3, side, side)`` of large and small shapes, on the CPU."""
    generator = torch.Generator().manual_seed(0)
    images = torch.zeros(count, 3, side, side)
    for cells in (2, 8, 32):
        noise = torch.rand(count, 3, cells, cells, generator=generator)
        images += torch.nn.functional.interpolate(noise, size=side, mode="bicubic") / 3
    return (255 * images.clamp(0, 1)).byte()


def agreement_checks(setup: Setup) -> Iterator[Check]:
    """Compare the feature maps of each preset, and each kind of aggregation."""
    for name in setup.sizes.backbones:
        yield Check(f"feature maps of {name}", partial(_maps, setup, name))
    for name, settings in AGGREGATIONS.items():
        yield Check(f"aggregation, {name}", partial(_aggregated, setup, settings))
    first = setup.sizes.backbones[0]
    yield Check(f"{first}, a batch in halves", partial(_halves, setup, first))


def _maps(setup: Setup, name: str) -> Outcome:
    images = drawn_images(setup.sizes.images, setup.sizes.crop)
    expected = _on_cpu(name)(images)
    found = random_backbone(name, setup.device)(images.to(setup.device))
    outcomes = [
        agreement(ours, theirs, ALLOWED) for ours, theirs in zip(found, expected, strict=True)
    ]
    return worst(outcomes)


def _aggregated(setup: Setup, settings: FeatureSettings) -> Outcome:
    generator = torch.Generator().manual_seed(0)
    side = setup.sizes.crop // 2 ** (1 + settings.layers[0])
    maps = [
        torch.rand(2, 128 * 2**level, side // 2**level, side // 2**level, generator=generator)
        for level in range(len(settings.layers))
    ]
    found = patch_features([layer.to(setup.device) for layer in maps], settings)
    return agreement(found, patch_features(maps, settings), 1e-5)


def _halves(setup: Setup, name: str) -> Outcome:
    """Features of images that go through together, and in halves, as where memory runs out.

    On a GPU the memory is limited so that the whole batch does not fit.
    """
    backbone = random_backbone(name, setup.device)
    crop, count = min(setup.sizes.extraction.items())
    images = drawn_images(count, crop)

    def passed(some: Tensor) -> npt.NDArray[np.float32]:
        features: npt.NDArray[np.float32] = (
            patch_features(backbone(some.to(setup.device)), FeatureSettings()).cpu().numpy()
        )
        return features

    with DevicePeak(setup.device) as peak:
        whole = passed(images)
    blocks = Blocks(count if setup.on_gpu else count // 2)
    with LimitedMemory(setup, peak):
        parts = np.concatenate(list(blocks(passed, images)))
    if blocks.size == count:
        return Outcome(problem="the limit of memory halved no batch")
    outcome = agreement(parts, whole, ALLOWED)
    return Outcome({"images": count, "halved_to": blocks.size, **outcome.values}, outcome.problem)


class LimitedMemory:
    """On a GPU, room for 0.6 of a measured peak and no more."""

    def __init__(self, setup: Setup, peak: DevicePeak) -> None:
        self.setup, self.peak = setup, peak

    def __enter__(self) -> None:
        if self.setup.on_gpu:
            device = self.setup.device
            torch.cuda.empty_cache()
            room = torch.cuda.memory_reserved(device) + 0.6 * (self.peak.growth or 0) * MIB
            total = torch.cuda.get_device_properties(device).total_memory
            torch.cuda.set_per_process_memory_fraction(room / total, device)

    def __exit__(self, *error: object) -> None:
        if self.setup.on_gpu:
            torch.cuda.set_per_process_memory_fraction(1.0, self.setup.device)


def speed_checks(setup: Setup) -> Iterator[Check]:
    """Time each preset at the paper's sizes of images, as many at once as ``extract`` takes."""
    for name in setup.sizes.backbones:
        for crop, count in setup.sizes.extraction.items():
            what = f"{name} at {crop} px, {count} at once"
            yield Check(what, partial(_speed, setup, name, crop, count))


def _speed(setup: Setup, name: str, crop: int, count: int) -> Outcome:
    settings, images = FeatureSettings(), drawn_images(count, crop)
    there = images.to(setup.device)
    with DevicePeak(setup.device) as peak:
        backbone = random_backbone(name, setup.device)
        patch_features(backbone(there), settings)
    alone = seconds_of(
        lambda: patch_features(backbone(there), settings), setup.device, setup.sizes.repeats
    )

    def as_extracted() -> npt.NDArray[np.float32]:
        maps = backbone(images.to(setup.device))
        features: npt.NDArray[np.float32] = patch_features(maps, settings).cpu().numpy()
        return features

    copied = seconds_of(as_extracted, setup.device, setup.sizes.repeats)
    speed = {"images_a_second": count / copied, "without_copies": count / alone}
    memory = peak.beside(BATCH_GIB * 1024 * MIB)
    return together(Outcome(dict(speed)), memory)
