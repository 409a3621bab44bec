"""What a unit of a run's steps takes: training, features, coreset, scores, maps, metrics."""

from functools import cache
from math import isqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from reconpatch.detection import (
    MemoryBank,
    anomaly_maps,
    coreset_size,
    represent,
    score,
    select_coreset,
)
from reconpatch.evaluation import evaluate
from reconpatch.planning.clock import timed, unit_seconds
from reconpatch.planning.units import Line, RecipeCosts
from reconpatch.planning.workload import Patches
from reconpatch.refinement import Pool, RefinementNetwork, refine, train_refinement
from reconpatch.representation import train
from reconpatch.settings import (
    DetectionSettings,
    Recipe,
    RefinementSettings,
    RepresentationSettings,
)

MAPS = 16
"""The maps that are timed together."""

PRODUCTS = 25e9
"""N M d, the multiplications that the larger of two timed coresets has."""

SIZES = {"dimension", "projection_dimension", "batch_size", "k", "mixed_precision"}
"""Of a training's settings, those that a step's seconds follow from."""

RANK = 8
"""Of the vectors that coresets are timed on: patch features, too, fill few of their dimensions."""


def recipe_costs(recipe: Recipe, patches: Patches, device: torch.device) -> RecipeCosts:
    """Measure the units of a recipe's runs on patches of some shape."""
    stored_as, settings = recipe.features.stored_as, recipe.trained
    dimension = recipe.representation.dimension
    step = 0.0
    if settings:
        sizes = RepresentationSettings(epochs=1, **settings.model_dump(include=SIZES))
        step = _training_step(patches.dimension, stored_as, sizes, device)
    kind = recipe.representation.kind
    detected = dimension or patches.dimension
    return RecipeCosts(
        step=step,
        representation=_representation(patches.dimension, stored_as, kind, dimension, device),
        coreset=_coreset(detected, recipe.detection.coreset_share, device),
        scoring=_scoring(detected, recipe.detection, device),
        map=_map(patches.height, patches.width, recipe.features.crop, recipe.detection),
        evaluation=_evaluation(recipe.features.crop),
    )


def refinement_costs(
    settings: RefinementSettings, size: int, device: torch.device
) -> tuple[float, float]:
    """Seconds of a mini-batch of the refinement network's training, and of a test image."""
    random = np.random.default_rng(0)
    count = settings.batch_size
    pool = Pool(
        random.integers(256, size=(count, 2, size, size, 3), dtype=np.uint8),
        random.random((count, 2, size, size)) < 0.1,
        (random.random((count, 2, size // 8, size // 8), dtype=np.float32),),
        DetectionSettings(),
    )

    def steps(epochs: int) -> None:
        with TemporaryDirectory() as folder:
            train_refinement(
                pool,
                settings.model_copy(update={"epochs": epochs}),
                0,
                device=device,
                checkpoint=Path(folder) / "checkpoint.pt",
                made_of="",
            )

    network = RefinementNetwork(settings, 0).to(device).eval()
    images, maps, _ = pool.batch(np.arange(count), np.zeros(count, np.int64))

    def refined(times: int) -> None:
        refine(network, [images] * times, np.tile(maps.numpy(), (times, 1, 1)))

    return unit_seconds(steps), unit_seconds(refined) / count


@cache
def _training_step(
    dimension: int, stored_as: str, settings: RepresentationSettings, device: torch.device
) -> float:
    """Seconds of a step, by whole trainings of some epochs of two mini-batches."""
    patches = vectors(2 * settings.batch_size, dimension).numpy().astype(stored_as)

    def epochs(count: int) -> None:
        train(patches, settings.model_copy(update={"epochs": count}), 0, device=device)

    return unit_seconds(epochs) / 2


@cache
def _representation(
    inputs: int,
    stored_as: str,
    kind: Literal["pooling", "trained"],
    dimension: int | None,
    device: torch.device,
) -> float:
    """Seconds of bringing a patch to the device and through f; a view on a CPU costs nothing."""
    patches = vectors(1 << 15, inputs).numpy().astype(stored_as)
    layer = None
    if kind == "trained" and dimension:
        layer, dimension = nn.Linear(inputs, dimension).requires_grad_(False), None
    return unit_seconds(
        lambda count: represent(patches[:count], layer, device, pooled_dimension=dimension),
        first=1 << 12,
        most=1 << 15,
    )


@cache
def _coreset(dimension: int, share: float, device: torch.device) -> Line:
    """Seconds of a centre by the number of patches."""
    large = isqrt(int(PRODUCTS / (share * dimension)))
    large = min(max(large, 1 << 13), 1 << 16)
    small = large // 4
    points = vectors(large, dimension).to(device)

    def centre(size: int) -> tuple[int, float]:
        count = coreset_size(size, share)
        return size, timed(lambda: select_coreset(points[:size], count, 0))[0] / count

    centre(small)
    return Line.through(centre(small), centre(large))


@cache
def _scoring(dimension: int, settings: DetectionSettings, device: torch.device) -> Line:
    """Seconds of a patch's score by the size of the memory bank."""
    side = 32
    patches = vectors(4 * side**2, dimension).to(device)

    def patch(size: int) -> tuple[int, float]:
        bank = MemoryBank(vectors(size, dimension).to(device))
        seconds = unit_seconds(
            lambda count: [score(bank, patches, (side, side), settings) for _ in range(count)]
        )
        return size, seconds / (len(patches) + size)

    return Line.through(patch(256), patch(2048))


@cache
def _map(height: int, width: int, size: int, settings: DetectionSettings) -> float:
    """Seconds of an anomaly map."""
    scores = np.random.default_rng(0).random((MAPS, height, width), dtype=np.float32)
    return (
        unit_seconds(lambda count: [anomaly_maps(scores, size, settings) for _ in range(count)])
        / MAPS
    )


@cache
def _evaluation(size: int) -> Line:
    """Seconds of a run's metrics and their replicates by the number of test images.

    Half of the images have a defect on a sixteenth of their pixels.
    """
    random = np.random.default_rng(0)

    def run(images: int) -> tuple[int, float]:
        anomalous = np.arange(images) % 2 == 1
        masks = np.zeros((images, size, size), dtype=np.bool_)
        masks[1::2, : size // 4, : size // 4] = True
        maps = random.random((images, size, size), dtype=np.float32)
        scores = maps.max(axis=(1, 2))
        return images, unit_seconds(
            lambda count: [evaluate(scores, anomalous, maps, masks, 0) for _ in range(count)]
        )

    return Line.through(run(24), run(72))


def vectors(count: int, dimension: int) -> Tensor:
    """Random vectors ``(count, dimension)`` about a plane of few dimensions."""
    random = torch.Generator().manual_seed(0)
    plane = torch.randn(count, RANK, generator=random) @ torch.randn(
        RANK, dimension, generator=random
    )
    return plane.add_(torch.randn(count, dimension, generator=random), alpha=0.1)
