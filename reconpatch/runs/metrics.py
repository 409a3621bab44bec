"""A run's ``metrics.json``: its metrics, and all records of the steps that it rests on."""

from pathlib import Path
from typing import Any

import numpy as np

from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.features.store import FeatureStore
from reconpatch.runs.evaluation import evaluate_epochs, evaluate_scores
from reconpatch.runs.recipe_run import RecipeRun
from reconpatch.runs.score_files import read_scores
from reconpatch.suites.runs import Run
from reconpatch.utils.files import atomic_write
from reconpatch.utils.provenance import Stopwatch
from reconpatch.utils.record import is_current, read_record, write_record


def measure_recipe_run(run: RecipeRun) -> None:
    """Evaluate a recipe's run and write ``metrics.json``, unless that is current."""
    if is_current(run.folder / "metrics.json", run.evaluation_fingerprint):
        return
    scores = read_scores(run.folder / "patch_scores.npz")
    watch = Stopwatch()
    with watch("evaluation"):
        maps = anomaly_maps(scores.patches, run.recipe.features.size, run.recipe.maps)
        measured, replicates = evaluate_scores(run.test_features, scores.images, maps)
        along, chosen, reasons = evaluate_epochs(run.test_features, run.epoch_scores, run.recipe)
    measured["metrics"] |= chosen
    measured["reasons"] |= reasons
    if run.epoch_scores:
        measured["along_the_training"] = along
    diagnostics = read_record(run.folder / "diagnostics.json")
    measured["metrics"] |= diagnostics.pop("metrics")
    measured["reasons"] |= diagnostics.pop("reasons")
    steps: dict[str, Any] = {
        "features": run.test_features.record,
        "detection": read_record(run.folder / "detection.json"),
        "diagnostics": diagnostics,
        "evaluation": watch.record(),
    }
    if run.representation_folder:
        steps["training"] = read_record(run.representation_folder / "learning.json")
    write_metrics(
        run.run,
        run.folder,
        run.test_features,
        measured,
        replicates,
        steps,
        run.evaluation_fingerprint,
    )


def write_metrics(
    run: Run,
    folder: Path,
    store: FeatureStore,
    measured: dict[str, Any],
    replicates: dict[str, Any],
    steps: dict[str, Any],
    made_of: str,
) -> None:
    """Write a run's replicates, and last its ``metrics.json`` with all that it rests on."""
    with atomic_write(folder / "replicates.npz") as aside, aside.open("wb") as file:
        np.savez(file, **replicates)
    anomalous = sum(sample.anomalous for sample in store.category.test)
    write_record(
        folder / "metrics.json",
        made_of,
        {
            "dataset": store.category.dataset,
            "category": store.category.name,
            "kind": store.category.kind,
            "method": run.recipe.method,
            "seed": run.seed,
            **measured,
            "test_images": {
                "normal": len(store.category.test) - anomalous,
                "anomalous": anomalous,
            },
            "members": [member.id for member in run.members if member != run],
            "recipe_key": run.recipe.key,
            "recipe": run.recipe.model_dump(mode="json"),
            "steps": steps,
        },
        ["replicates.npz"],
    )
