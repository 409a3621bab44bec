"""What a rehearsal took: seconds a unit, peak memory and bytes on disk, a distinct shape a row."""

from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from reconpatch.planning.space import feature_bytes
from reconpatch.planning.workload import Extraction, Workload
from reconpatch.settings.composed import Refined
from reconpatch.settings.recipe import Recipe
from reconpatch.suites.cells import cells
from reconpatch.suites.experiments import title
from reconpatch.suites.runs import Run, runs_of
from reconpatch.utils.record import read_record

TRAIN, TEST, STEP = "training image", "test image", "training step"
UNITS = {
    "train": TRAIN,
    "test": TEST,
    "training": STEP,
    "fit": TRAIN,
    "diagnostics": TRAIN,
    "training scores": TRAIN,
    "scoring": TEST,
    "fusion": TEST,
    "evaluation": TEST,
    "simulated images": TRAIN,
    "refinement training": STEP,
    "method training": STEP,
    "scoring along the training": TEST,
    "refinement": TEST,
}
"""What a step's seconds are divided by; those of a step that is not named here are left out."""


class Shape(NamedTuple):
    """A row: what has this shape, how many recipes do, and what the first of them took.

    Attributes:
        seconds: by unit, of all steps that have it.
        peak_mib: of the process that did it, so far as it had come.
        written: bytes on disk.
    """

    name: str
    recipes: int
    seconds: dict[str, float]
    peak_mib: int
    written: int


def measured_shapes(workload: Workload, results: Path) -> list[Shape]:
    """Return a row for each distinct shape of patch features, and of what runs on them.

    Recipes have one shape if their method reads the same features and needs the same: other numbers
    of neighbours, or another margin, take the same time.

    Raises:
        FileNotFoundError: a run has no metrics, or features no record.
    """
    names = _names(workload)
    extractions = {e.settings.key: e for e in reversed(workload.extractions)}
    found = [_features(workload, results, e) for e in reversed(extractions.values())]
    alike: dict[Any, list[Run]] = {}
    for run in workload.runs:
        if run.recipe.key not in {r.recipe.key for runs in alike.values() for r in runs}:
            alike.setdefault(_shape(workload, run), []).append(run)
    return found + [_runs(workload, results, runs, names) for runs in alike.values()]


def _names(workload: Workload) -> dict[str, str]:
    """The table and the cell, or the figure, that first asks for a recipe, by the recipe's key."""
    found: dict[str, str] = {}
    suite = workload.suite
    for name, table in suite.experiments.tables.items():
        for cell in cells(suite, name):
            where = cell.column if table.rows == "categories" else f"{cell.row}, {cell.column}"
            for recipe in (cell.recipe, cell.minus):
                if recipe:
                    found.setdefault(recipe.key, f"{title(name)}: {where}")
    for name in workload.figures:
        for run in runs_of(suite, name):
            found.setdefault(run.recipe.key, title(name))
    return found


def _shape(workload: Workload, run: Run) -> Any:
    recipe = run.recipe
    if not isinstance(recipe, Recipe):
        return recipe.key
    work = workload.work(run)
    return recipe.method, recipe.train_extraction.key, recipe.test_extraction.key, work.needs()


def _features(workload: Workload, results: Path, extraction: Extraction) -> Shape:
    settings = extraction.settings
    place = results / "features" / extraction.dataset / extraction.category / settings.key
    record, features = read_record(place / "features.json"), settings.features
    layers = "+".join(map(str, features.layers))
    name = f"{features.backbone}, {features.size} px, layers {layers}, p = {features.patch_size}"
    if features.aggregation == "patchcore":
        name += f", pooled to {features.target_dimension}"
    if settings.augmentation:
        name += ", changed images"
    images = workload.images[extraction.dataset, extraction.category]
    train = images.train if "train" in settings.splits else 0
    counts = {TRAIN: train, TEST: images.test}
    written = sum(feature_bytes(workload, extraction).values())
    return Shape(name, 1, _units(record["seconds"], counts), record["peak_mib"], written)


def _runs(workload: Workload, results: Path, runs: list[Run], names: dict[str, str]) -> Shape:
    run = runs[0]
    folder = results / "runs" / run.id
    steps = read_record(folder / "metrics.json")["steps"]
    steps.pop("features", None)
    if (folder / "training_scores.json").is_file():
        steps["training scores"] = read_record(folder / "training_scores.json")
    seconds = {name: s for step in steps.values() for name, s in step["seconds"].items()}
    images = workload.images[run.dataset, run.category]
    counts = {TRAIN: images.train, TEST: images.test, STEP: _steps(workload, run)}
    folders = [folder]
    if run.representation:
        place = results / "representations" / run.dataset / run.category / run.representation
        folders.append(place)
    written = sum(f.stat().st_size for each in folders for f in each.rglob("*") if f.is_file())
    name = names.get(run.recipe.key) or f"a member: {_member_name(run)}"
    peak = max(step["peak_mib"] for step in steps.values())
    return Shape(name, len(runs), _units(seconds, counts), peak, written)


def _member_name(run: Run) -> str:
    assert isinstance(run.recipe, Recipe)
    return f"{run.recipe.method}, {run.recipe.features.backbone}, {run.recipe.features.size} px"


def _steps(workload: Workload, run: Run) -> int:
    if isinstance(run.recipe, Recipe):
        return workload.work(run).needs().steps
    if isinstance(run.recipe, Refined):
        settings = run.recipe.refinement
        train = workload.images[run.dataset, run.category].train
        return settings.epochs * (train // min(settings.batch_size, train))
    return 0


def _units(seconds: dict[str, float], counts: dict[str, int]) -> dict[str, float]:
    taken: defaultdict[str, float] = defaultdict(float)
    for step, spent in seconds.items():
        if unit := UNITS.get(step):
            taken[unit] += spent
    return {unit: spent / counts[unit] for unit, spent in taken.items() if counts.get(unit)}


def print_shapes(shapes: list[Shape], console: Console) -> None:
    """Print a row for each shape."""
    units = (STEP, TRAIN, TEST)
    table = Table("shape", box=None)
    for column in ("recipes", *(f"s a {unit}" for unit in units), "peak MiB", "MB written"):
        table.add_column(column, justify="right")
    for shape in shapes:
        seconds = (f"{shape.seconds[u]:.3f}" if u in shape.seconds else "" for u in units)
        written = f"{shape.written / 1e6:.1f}"
        table.add_row(shape.name, str(shape.recipes), *seconds, str(shape.peak_mib), written)
    console.print(table)
