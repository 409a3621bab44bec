"""What a unit of each step takes on this device, measured with small pieces of the real code.

A unit is timed by the step's own function on a small input of the suite's own shape: images of its
size, vectors of its dimension, mini-batches of its size. The input is doubled until a call takes
long enough to be timed. The least of three such calls counts: what else the machine does only adds.

What grows with two sizes at once is measured at two of them and follows the line through both:

- the greedy coreset of M among N vectors takes ``M (a + b N)``: b is mostly the matrix product of
  all vectors with a new centre, a the centre's share of what a pass costs at any N;
- the scores of Q vectors from a bank of M take ``(Q + min(Q, M)) (a + b M)``, as the bank also
  looks for the neighbours of those of its own vectors that are someone's nearest;
- a run's metrics take ``a + b N`` for N test images: what the replicates add grows as N^2, but
  little.
"""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from functools import cache, partial
from math import isqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from reconpatch.datasets import GOOD, Sample, inspect_category
from reconpatch.datasets.demo import CATEGORIES, SIZE, render
from reconpatch.detection import (
    MemoryBank,
    anomaly_maps,
    coreset_size,
    represent,
    score,
    select_coreset,
)
from reconpatch.evaluation import evaluate
from reconpatch.evaluation.embedding import embed
from reconpatch.features import patch_features
from reconpatch.features.images import image_batches
from reconpatch.planning.units import Costs, Line, RecipeCosts
from reconpatch.planning.untrained import untrained_backbone
from reconpatch.planning.workload import Patches, Workload
from reconpatch.provenance import Stopwatch
from reconpatch.recipe import (
    DetectionSettings,
    FeatureSettings,
    PatchSettings,
    Recipe,
    RefinementSettings,
    RepresentationSettings,
)
from reconpatch.refinement import Pool, RefinementNetwork, refine, train_refinement
from reconpatch.reporting.figure import EMBEDDED
from reconpatch.representation import train
from reconpatch.suite import SuiteDataset

T = TypeVar("T")

ENOUGH = 0.1
"""Seconds that a call must take to be timed."""

LONG = 1.0
"""Seconds from which a call is timed once."""

PHOTOGRAPH = 900
"""Width and height, in pixels, of the picture that stands for photographs that are not here."""

BATCH = 16
"""The most images of a batch that is timed."""

PRODUCTS = 25e9
"""N M d, the multiplications that the larger of two timed coresets has."""

SIZES = {"dimension", "projection_dimension", "batch_size", "k", "mixed_precision"}
"""Of a training's settings, those that a step's seconds follow from."""

RANK = 8
"""Of the vectors that coresets are timed on: patch features, too, fill few of their dimensions."""


def measure(
    workload: Workload, device: torch.device, threads: int, say: Callable[[str], None]
) -> Costs:
    """Measure all units that a workload is made of.

    Args:
        workload: what is to be done.
        device: where.
        threads: the CPU threads of a job.
        say: called with what is measured next, in words.
    """
    say("the start of a job")
    light_start, _ = _start("import reconpatch.datasets")
    start, peak = _start(
        "import reconpatch.batch; from reconpatch.torch_setup import set_up_torch; "
        f"set_up_torch({str(device)!r}, {threads}); "
        "from reconpatch.provenance import Stopwatch; print(Stopwatch().story()['peak_mib'])"
    )
    reporting_start, _ = _start("import reconpatch.reporting")
    umap_start = embedding = 0.0
    if workload.embeddings:
        say("UMAP")
        umap_start, embedding = _embedding()
    building, forward, inspection, images = {}, {}, {}, {}
    with TemporaryDirectory() as folder:
        aside = Path(folder)
        for features, patches in workload.patches.items():
            say(f"{features.backbone} at {features.crop} px")
            building[features], forward[features] = _backbone(features, patches, device, aside)
        pictures = {}
        for dataset in workload.suite.datasets:
            say(f"the images of {dataset.source.dataset}")
            pictures[dataset.id] = _pictures(workload, dataset, aside)
            inspection[dataset.id] = _inspection(pictures[dataset.id])
        for of, _, settings in workload.extractions:
            if (of, settings) not in images:
                say(f"reading at {settings.features.crop} px")
                decoding = _decoding(pictures[of], settings)
                images[of, settings] = overlapped(
                    decoding, forward[settings.features], threads, device
                )
    recipes = {}
    for recipe in dict.fromkeys(work.recipe for work in workload.works):
        say(f"{recipe.method} on {recipe.features.backbone}")
        recipes[recipe] = _recipe(recipe, workload.patches[recipe.features], device)
    refinements = {}
    for refined in workload.refinements:
        size = refined.members[0].recipe.features.crop
        if (refined.settings, size) not in refinements:
            say(f"refinement at {size} px")
            refinements[refined.settings, size] = _refinement(refined.settings, size, device)
    return Costs(
        light_start=light_start,
        start=start,
        started_bytes=int(peak) << 20,
        reporting_start=reporting_start,
        umap_start=umap_start,
        embedding=embedding,
        drawing=_drawing() if "demo" in workload.jobs else 0.0,
        inspection=inspection,
        building=building,
        forward=forward,
        images=images,
        recipes=recipes,
        refinements=refinements,
    )


def unit_seconds(work: Callable[[int], object], first: int = 1, most: int | None = None) -> float:
    """Return the seconds of a unit of ``work(count)``.

    The count starts at ``first``, and is doubled until a call takes long enough or ``most`` is
    reached; the first call of all only warms up, and a long one is not repeated.
    """
    count = first
    _timed(partial(work, count))
    while (seconds := _timed(partial(work, count))[0]) < ENOUGH and (not most or count < most):
        count *= 2
    again = [_timed(partial(work, count))[0] for _ in range(2 if seconds < LONG else 0)]
    return min([seconds, *again]) / count


def overlapped(decoding: float, forward: float, threads: int, device: torch.device) -> float:
    """Return an image's seconds where decoding and the backbone go on side by side.

    ``max(forward, decoding / threads, (decoding + busy forward) / cores)``: whichever of the two is
    slower sets the pace, unless the cores cannot serve both; ``busy`` is how many of them the
    backbone holds, all its threads on a CPU and one that waits on a GPU.

    Args:
        decoding: seconds of decoding and resizing an image in one thread.
        forward: seconds of backbone, aggregation and writing.
        threads: how many decode, and how many the backbone has on a CPU.
        device: where the backbone runs.
    """
    cores = os.cpu_count() or 1
    busy = min(threads, cores) if device.type == "cpu" else 1
    return max(forward, decoding / threads, (decoding + busy * forward) / cores)


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    """Return the seconds of ``work`` and what it returns; its progress bars stay unseen."""
    watch = Stopwatch()
    with redirect_stderr(io.StringIO()), watch("work"):
        outcome = work()
    return watch.seconds["work"], outcome


def _start(code: str) -> tuple[float, str]:
    """Return the seconds of a Python process that runs ``code``, and what it prints."""
    command = [sys.executable, "-c", code]
    seconds, done = _timed(
        lambda: subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    )
    return seconds, done.stdout


def _pictures(workload: Workload, dataset: SuiteDataset, aside: Path) -> list[Path]:
    """Return a few images of the data set, or a drawn one in their place, written ``aside``."""
    for (of, _), images in workload.images.items():
        if of == dataset.id and images.examples:
            return list(images.examples)
    size = SIZE if dataset.source.layout == "demo" else PHOTOGRAPH
    drawn = Image.fromarray(render("weave", "train", GOOD, 0, seed=0).clean)
    path = aside / f"{size}.png"
    drawn.resize((size, size)).save(path)
    return [path]


def _drawing() -> float:
    """Seconds of a picture of the demo set, the mean of its categories."""

    def draw(count: int) -> None:
        for category in CATEGORIES:
            for index in range(count):
                render(category, "train", GOOD, index, seed=0)

    return unit_seconds(draw) / len(CATEGORIES)


def _inspection(pictures: Sequence[Path]) -> float:
    """Seconds of an image's inspection: it is read, hashed and checked."""

    def inspect(count: int) -> None:
        normal, other = (
            [Sample(pictures[row % len(pictures)], label, mask=None) for row in range(count)]
            for label in (GOOD, "other")
        )
        root = pictures[0].parent
        inspect_category(root, dataset="", name="", kind=None, train=normal, test=normal + other)

    return unit_seconds(inspect) / 3


def _decoding(pictures: Sequence[Path], settings: PatchSettings) -> float:
    """Seconds of decoding, resizing and, where asked for, changing an image in one thread."""

    def decode(count: int) -> None:
        paths = [pictures[row % len(pictures)] for row in range(count)]
        for _ in image_batches(
            paths, settings.features, BATCH, 1, augmentation=settings.augmentation
        ):
            pass

    return unit_seconds(decode)


def _backbone(
    settings: FeatureSettings, patches: Patches, device: torch.device, aside: Path
) -> tuple[float, float]:
    """Return the seconds of building the backbone, and of an image's way to features on disk.

    ``load_backbone`` builds three networks: to see its layers, to take the weights, to be used.
    """
    building, backbone = _timed(lambda: untrained_backbone(settings, device))
    images = torch.zeros(BATCH, 3, settings.crop, settings.crop, dtype=torch.uint8)

    def extract(count: int) -> None:
        maps = backbone(images[:count].to(device))
        features = patch_features(maps, settings).cpu().numpy()
        array = np.lib.format.open_memmap(
            aside / "features.npy", "w+", dtype=settings.stored_as, shape=(count, *patches)
        )
        array[:] = features
        array.flush()

    return 3 * building, unit_seconds(extract, most=BATCH)


def _embedding() -> tuple[float, float]:
    """Return the seconds of UMAP's import and compilation, and of a panel."""
    few, many = (_vectors(count, 512).numpy() for count in (64, EMBEDDED))
    return _timed(lambda: embed(few, 0))[0], _timed(lambda: embed(many, 0))[0]


def _recipe(recipe: Recipe, patches: Patches, device: torch.device) -> RecipeCosts:
    """Measure the units of a recipe's runs."""
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


def _refinement(
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
    patches = _vectors(2 * settings.batch_size, dimension).numpy().astype(stored_as)

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
    patches = _vectors(1 << 15, inputs).numpy().astype(stored_as)
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
    vectors = _vectors(large, dimension).to(device)

    def centre(size: int) -> tuple[int, float]:
        count = coreset_size(size, share)
        return size, _timed(lambda: select_coreset(vectors[:size], count, 0))[0] / count

    centre(small)
    return Line.through(centre(small), centre(large))


@cache
def _scoring(dimension: int, settings: DetectionSettings, device: torch.device) -> Line:
    """Seconds of a patch's score by the size of the memory bank."""
    side = 32
    patches = _vectors(4 * side**2, dimension).to(device)

    def patch(size: int) -> tuple[int, float]:
        bank = MemoryBank(_vectors(size, dimension).to(device))
        seconds = unit_seconds(
            lambda count: [score(bank, patches, (side, side), settings) for _ in range(count)]
        )
        return size, seconds / (len(patches) + size)

    return Line.through(patch(256), patch(2048))


@cache
def _map(height: int, width: int, size: int, settings: DetectionSettings) -> float:
    """Seconds of an anomaly map."""
    scores = np.random.default_rng(0).random((BATCH, height, width), dtype=np.float32)
    return (
        unit_seconds(lambda count: [anomaly_maps(scores, size, settings) for _ in range(count)])
        / BATCH
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


def _vectors(count: int, dimension: int) -> Tensor:
    """Random vectors ``(count, dimension)`` about a plane of few dimensions."""
    random = torch.Generator().manual_seed(0)
    plane = torch.randn(count, RANK, generator=random) @ torch.randn(
        RANK, dimension, generator=random
    )
    return plane.add_(torch.randn(count, dimension, generator=random), alpha=0.1)
