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

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

from reconpatch.datasets import GOOD, Sample, inspect_category
from reconpatch.datasets.demo import CATEGORIES, SIZE, render
from reconpatch.features import patch_features
from reconpatch.features.images import image_batches
from reconpatch.planning.clock import timed, unit_seconds
from reconpatch.planning.recipe_costs import recipe_costs, refinement_costs, vectors
from reconpatch.planning.units import Costs
from reconpatch.planning.untrained import untrained_backbone
from reconpatch.planning.workload import Patches, Workload
from reconpatch.reporting.draw import EMBEDDED
from reconpatch.reporting.embedding import embed
from reconpatch.settings import (
    ExtractionSettings,
    FeatureSettings,
)
from reconpatch.suites import SuiteDataset

PHOTOGRAPH = 900
"""Width and height, in pixels, of the picture that stands for photographs that are not here."""

BATCH = 16
"""The most images of a batch that is timed."""


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
        "import reconpatch.runs.batch; from reconpatch.utils.devices import set_up_torch; "
        f"set_up_torch({str(device)!r}, {threads}); "
        "from reconpatch.utils.provenance import Stopwatch; print(Stopwatch().record()['peak_mib'])"
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
        recipes[recipe] = recipe_costs(recipe, workload.patches[recipe.features], device)
    refinements = {}
    for refined in workload.refinements:
        size = refined.members[0].recipe.features.crop
        if (refined.settings, size) not in refinements:
            say(f"refinement at {size} px")
            refinements[refined.settings, size] = refinement_costs(refined.settings, size, device)
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


def _start(code: str) -> tuple[float, str]:
    """Return the seconds of a Python process that runs ``code``, and what it prints."""
    command = [sys.executable, "-c", code]
    seconds, done = timed(
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


def _decoding(pictures: Sequence[Path], settings: ExtractionSettings) -> float:
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
    building, backbone = timed(lambda: untrained_backbone(settings, device))
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
    few, many = (vectors(count, 512).numpy() for count in (64, EMBEDDED))
    return timed(lambda: embed(few, 0))[0], timed(lambda: embed(many, 0))[0]
