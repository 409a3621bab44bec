"""A batch: the runs of an experiment on a category, measured in one process.

What runs share is done once, and what is current is left as it is.
"""

from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from reconpatch.methods.method import Method
from reconpatch.refinement.textures import SHIPPED, Textures
from reconpatch.runs.detection import detect
from reconpatch.runs.diagnosis import diagnostics
from reconpatch.runs.ensemble_run import EnsembleRun
from reconpatch.runs.learning import learn
from reconpatch.runs.metrics import measure_recipe_run
from reconpatch.runs.recipe_run import RecipeRun
from reconpatch.runs.refined_run import RefinedRun
from reconpatch.settings.composed import Refined
from reconpatch.suites.runs import Batch
from reconpatch.utils.files import write_json
from reconpatch.utils.provenance import Stopwatch
from reconpatch.utils.record import is_current, read_record, write_record


def measure(
    batch: Batch,
    results: Path,
    device: torch.device,
    weights_folder: Path = Path("weights"),
    textures: Textures = SHIPPED,
) -> None:
    """Measure the batch's runs as far as they are not current.

    Args:
        batch: the runs.
        results: the folder of all results.
        device: where the work is done.
        weights_folder: where local weight files lie, for runs that are refined.
        textures: what fills simulated defects of kind ``texture``; scikit-image's by default.

    Raises:
        InputError: a training fails, or an ensemble's scores cannot be scaled.
    """
    name = f"{batch.category} {batch.experiment}"
    with tqdm(total=len(batch.runs), desc=name, unit="run") as progress:
        single = [RecipeRun(run, results, device) for run in batch.runs if not run.parents]
        for _, sharing in groupby(sorted(single, key=_shared), key=_shared):
            group = list(sharing)
            _measure_group(group)
            progress.update(len(group))
        for run in batch.runs:
            if isinstance(run.recipe, Refined):
                RefinedRun(run, results, device, weights_folder, textures).measure()
            elif run.parents:
                EnsembleRun(run, results, device).measure()
            progress.update(bool(run.parents))


def _shared(run: RecipeRun) -> tuple[str, str, str, int]:
    """What the runs of a group have in common, so that ``Method.fit_all`` takes them together."""
    recipe = run.recipe
    learned = recipe.learned.key if recipe.learned else ""
    return recipe.train_extraction.key, recipe.method, learned, run.run.seed


def _measure_group(runs: list[RecipeRun]) -> None:
    learn(runs[0])
    for run, method in detect([run for run in runs if not run.is_detected]):
        _diagnose(run, method)
    for run in runs:
        if not is_current(run.folder / "diagnostics.json", run.diagnostics_fingerprint):
            _diagnose(run, run.method())
        measure_recipe_run(run)


def _diagnose(run: RecipeRun, method: Method[Any]) -> None:
    watch = Stopwatch()
    with watch("diagnostics"):
        metrics, reasons = diagnostics(method, run.training_set)
    content = {"metrics": metrics, "reasons": reasons, **watch.record()}
    write_record(run.folder / "diagnostics.json", run.diagnostics_fingerprint, content)


def write_manifest(batch: Batch, results: Path) -> None:
    """Write which runs the batch measured, with their metrics, to its file below ``batches``."""
    write_json(
        results / "batches" / f"{batch.id}.json",
        {
            "experiment": batch.experiment,
            "runs": {
                run.id: read_record(results / "runs" / run.id / "metrics.json")["metrics"]
                for run in batch.runs
            },
        },
    )
