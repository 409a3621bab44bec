"""Recipes as the report page shows them: where every measured figure leads."""

import json
from collections.abc import Iterator
from typing import Any

from reconpatch.reporting.formats import MISSING
from reconpatch.reporting.page.provenance_summary import MeasuredRecipe, Record
from reconpatch.reporting.page.table_view import anchor
from reconpatch.settings.composed import Ensemble, Refined
from reconpatch.suites.runs import Run
from reconpatch.suites.suite import Suite


def recipe_view(suite: Suite, recipe: MeasuredRecipe) -> dict[str, Any]:
    """Return a recipe's title, settings and runs, with what sets it apart in the suite."""
    return {
        "changes": ", ".join(_changes(suite, recipe)),
        "anchor": anchor("recipe", recipe.key),
        "of": recipe,
        "settings": json.dumps(recipe.settings, indent=1),
        "lines": [_line(run, record) for run, record in recipe.runs],
    }


def _changes(suite: Suite, recipe: MeasuredRecipe) -> Iterator[str]:
    """Yield what sets a recipe apart from its method's with the suite's first model."""
    chosen = recipe.runs[0][0].recipe
    if isinstance(chosen, Refined):
        yield f"{chosen.refinement.anomaly} defects, {chosen.refinement.epochs} epochs"
        return
    if isinstance(chosen, Ensemble):
        yield f"{len(chosen.members)} members, deviation {chosen.deviation}"
        return
    own = suite.recipe_of(next(iter(suite.models)), chosen.method).model_dump(mode="json")
    for group, settings in recipe.settings.items():
        before = own.get(group) or {}
        if not isinstance(settings, dict):
            continue
        for name, value in settings.items():
            if before.get(name) != value and (group != "augmentation" or name == "rotation"):
                yield f"{name} {value}" if group != "augmentation" else "augmented"


def _line(run: Run, record: Record) -> dict[str, Any]:
    """A run's line in the provenance."""
    done = record["steps"]
    cells = []
    for metric in ("image_auroc", "pixel_auroc", "discriminability_index"):
        value = record["metrics"][metric]
        scale = 1 if metric == "discriminability_index" else 100
        cells.append(MISSING if value is None else f"{scale * value:.2f}")
    detection = done.get("detection")
    counts = detection and detection["counts"]
    bank = counts and counts.get("memory_bank")
    cells.append(f"{bank} × {counts['dimension']}" if bank else MISSING)
    for name in ("features", "training", "detection", "evaluation"):
        seconds = done.get(name, {}).get("seconds")
        cells.append(f"{sum(seconds.values()):.1f}" if seconds else MISSING)
    cells.append(str(max(step["peak_mib"] for step in done.values())) if done else MISSING)
    features = done.get("features")
    hashes = (features["data_sha256"], features["weights"]["sha256"]) if features else ()
    cells.append(", ".join(sha[:12] for sha in hashes) or MISSING)
    return {
        "anchor": anchor("run", run.id),
        "category": run.category.replace("_", " "),
        "seed": run.seed,
        "cells": cells,
    }
