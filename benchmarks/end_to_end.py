"""PatchCore from image files to metrics, beside its backbone alone and anomalib's PatchCore."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import anomalib_peer
from benchmarks.measure import in_turns
from benchmarks.plan import Plan
from benchmarks.report import Findings, Row
from reconpatch.datasets.category import Category
from reconpatch.datasets.mvtec_layout import read_mvtec_layout
from reconpatch.features.extract import extract
from reconpatch.features.images import image_batches
from reconpatch.features.pretrained import load_backbone
from reconpatch.methods.patchcore import PatchCore
from reconpatch.runs.batch import measure as measure_batch
from reconpatch.runs.recipe_run import RecipeRun
from reconpatch.settings.features import FeatureSettings
from reconpatch.suites.runs import Batch, Run
from reconpatch.utils.files import read_json

RECIPE = PatchCore.Recipe(features=FeatureSettings(backbone="efficientnet_lite0"))
CPU = torch.device("cpu")
BATCH = 16
BARE = "decode and backbone forward alone"
ANOMALIB = "anomalib PatchCore"


def measure(folder: Path, plan: Plan, work: Path, threads: int) -> Findings:
    """Run PatchCore with EfficientNet-Lite0 on the category in ``folder``.

    Ours runs the package's steps, with the files that they write and read. ``BARE`` only decodes
    and resizes the images and passes them through the backbone. The category is read beforehand, so
    that all find its files in the page cache.
    """
    category = read_mvtec_layout(folder, "benchmark")
    weights = work / "weights"
    measured = in_turns(
        {
            BARE: _bare(category, weights, threads),
            "ours": partial(_ours, category, weights, work, threads),
            ANOMALIB: anomalib_peer.patchcore(folder, RECIPE, weights, work / "anomalib", threads),
        },
        repeats=1,
    )
    ours, metrics = measured["ours"], measured["ours"].result
    images = f"{len(category.train)} + {len(category.test)} images"
    what = f"PatchCore, EfficientNet-Lite0, {category.name} ({images}), files to metrics"
    goals = (1.5, 7.0) if plan.goals else (None, None)
    return Findings(
        "PatchCore end to end",
        [
            Row(what, ours, BARE, measured[BARE], overhead=True, goal=goals[0]),
            Row(what, ours, ANOMALIB, measured[ANOMALIB], goal=goals[1]),
        ],
        [
            f"AUROC on {category.name} in percent, ours / anomalib: "
            + "; ".join(
                f"{level} {_percent(metrics[key])} / {_percent(measured[ANOMALIB].result[key])}"
                for level, key in (("image", "image_auroc"), ("pixel", "pixel_auroc"))
            )
            + ". Same images, crop, backbone weights, two feature maps and coreset share; each has "
            "its own borders, re-weighting, map upsampling and first point of the coreset. Both "
            "are computed exactly from raw scores.",
            "anomalib decodes in processes of its own, whose memory is not counted.",
            *(
                [f"The whole process had {ours.resident_mib / 1024:.2f} GiB at the peak of ours."]
                if ours.resident_mib
                else []
            ),
        ],
    )


def ours(category: str, work: Path) -> RecipeRun:
    """Return our run on the category; its files are below ``work``."""
    return RecipeRun(Run("benchmark", category, RECIPE, seed=0), work / "results", CPU)


def _ours(category: Category, weights: Path, work: Path, threads: int) -> dict[str, Any]:
    one = ours(category.name, work)
    # Results that are already there would not be measured again.
    shutil.rmtree(one.results, ignore_errors=True)
    extract(
        category,
        RECIPE.test_extraction,
        one.test_features.folder,
        weights_folder=weights,
        device=CPU,
        threads=threads,
        batch_size=BATCH,
    )
    measure_batch(
        Batch("benchmark", one.run.dataset, category.name, (one.run,), after=()), one.results, CPU
    )
    metrics: dict[str, Any] = read_json(one.folder / "metrics.json")["metrics"]
    return metrics


def _bare(category: Category, weights: Path, threads: int) -> Callable[[], None]:
    backbone = load_backbone(RECIPE.features.backbone, RECIPE.features.layers, weights, CPU)

    def run() -> None:
        for samples in (category.train, category.test):
            images = [sample.image for sample in samples]
            for batch in image_batches(images, RECIPE.features, BATCH, threads):
                backbone(batch)

    return run


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"
