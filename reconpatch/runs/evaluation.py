"""The step that measures scores and maps against a category's labels and masks."""

import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.evaluation.evaluate import evaluate
from reconpatch.runs.score_files import read_scores
from reconpatch.utils.files import atomic_write, is_current, read_json, write_json
from reconpatch.utils.provenance import Stopwatch

if TYPE_CHECKING:
    from reconpatch.features import FeatureStore
    from reconpatch.runs.recipe_run import RecipeRun
    from reconpatch.suites import Run


def evaluate_run(run: "RecipeRun") -> None:
    """Measure a recipe's run and write ``metrics.json``, unless that is current."""
    if is_current(run.folder / "metrics.json", run.evaluation_fingerprint):
        return
    scores = read_scores(run.folder / "patch_scores.npz")
    watch = Stopwatch()
    with watch("evaluation"):
        maps = anomaly_maps(scores.patches, run.recipe.features.crop, run.recipe.maps)
        measured, replicates = evaluate_scores(run.test_features, scores.images, maps)
    diagnostics = read_json(run.folder / "diagnostics.json")
    measured["metrics"] |= diagnostics.pop("metrics")
    measured["reasons"] |= diagnostics.pop("reasons")
    steps: dict[str, Any] = {
        "features": run.test_features.record,
        "detection": read_json(run.folder / "detection.json"),
        "diagnostics": diagnostics,
        "evaluation": watch.record(),
    }
    if run.representation_folder:
        steps["training"] = read_json(run.representation_folder / "learning.json")
    write_metrics(
        run.run,
        run.folder,
        run.test_features,
        measured,
        replicates,
        steps,
        run.evaluation_fingerprint,
    )


def evaluate_scores(
    store: "FeatureStore", images: Any, maps: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure image scores and maps against a category's labels and masks."""
    category = store.category
    masks = store.masks() if category.has_masks else None
    resampling_seed = zlib.crc32(f"{category.dataset} {category.name}".encode())
    return evaluate(images, _labels(store), maps, masks, resampling_seed)


def write_metrics(
    run: "Run",
    folder: Path,
    store: "FeatureStore",
    measured: dict[str, Any],
    replicates: dict[str, Any],
    steps: dict[str, Any],
    made_of: str,
) -> None:
    """Write a run's replicates, and last its ``metrics.json`` with all that it rests on."""
    labels = _labels(store)
    with atomic_write(folder / "replicates.npz") as aside, aside.open("wb") as file:
        np.savez(file, **replicates)
    write_json(
        folder / "metrics.json",
        {
            "fingerprint": made_of,
            "dataset": store.category.dataset,
            "category": store.category.name,
            "kind": store.category.kind,
            "method": run.recipe.method,
            "seed": run.seed,
            **measured,
            "test_images": {"normal": int((~labels).sum()), "anomalous": int(labels.sum())},
            "members": [member.id for member in run.members if member != run],
            "recipe_key": run.recipe.key,
            "recipe": run.recipe.model_dump(mode="json"),
            "steps": steps,
        },
    )


def _labels(store: "FeatureStore") -> Any:
    return np.array([sample.anomalous for sample in store.category.test])
