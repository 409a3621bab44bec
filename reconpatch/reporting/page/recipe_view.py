"""Recipes as the report page shows them: where every measured figure leads."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from reconpatch.reporting.formats import MISSING
from reconpatch.reporting.page.provenance_summary import Record
from reconpatch.reporting.page.table_view import anchor
from reconpatch.settings.composed import AnyRecipe, Ensemble, Refined
from reconpatch.suites.runs import Run
from reconpatch.suites.suite import Suite


def recipe_views(suite: Suite, records: Iterable[tuple[Run, Record]]) -> list[dict[str, Any]]:
    """Return the recipes behind runs, in the order in which they come first.

    Each has a title, settings and runs, and what sets it apart in the suite.
    """
    by_recipe: dict[AnyRecipe, list[tuple[Run, Record]]] = {}
    for run, record in records:
        by_recipe.setdefault(run.recipe, []).append((run, record))
    return [
        {
            "key": recipe.key,
            "title": runs[0][1]["method"] + (" ensemble" if runs[0][1]["members"] else ""),
            "changes": ", ".join(_changes(suite, recipe, runs[0][1]["recipe"])),
            "anchor": anchor("recipe", recipe.key),
            "settings": json.dumps(runs[0][1]["recipe"], indent=1),
            "lines": [_line(run, record) for run, record in runs],
        }
        for recipe, runs in by_recipe.items()
    ]


def _changes(suite: Suite, recipe: AnyRecipe, settings: dict[str, Any]) -> Iterator[str]:
    """Yield what sets a recipe apart from its method's with the suite's first model."""
    if isinstance(recipe, Refined):
        yield f"{recipe.refinement.anomaly} defects, {recipe.refinement.epochs} epochs"
        return
    if isinstance(recipe, Ensemble):
        yield f"{len(recipe.members)} members, deviation {recipe.deviation}"
        return
    own = suite.recipe_of(next(iter(suite.models)), recipe.method).model_dump(mode="json")
    for group, values in settings.items():
        before = own.get(group) or {}
        if not isinstance(values, dict):
            continue
        for name, value in values.items():
            if before.get(name) != value and (group != "augmentation" or name == "rotation"):
                yield f"{name} {value}" if group != "augmentation" else "augmented"


def _line(run: Run, record: Record) -> dict[str, Any]:
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
