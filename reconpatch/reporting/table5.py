"""Table 5: image and pixel AUROC a category and on average, methods as columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from reconpatch.files import read_json
from reconpatch.suite import Run, Suite

COLUMNS = ["row", "column", "metric", "paper", "measured", "run"]
"""The columns that every tidy table starts with."""

MEANS = {"object": "Object classes", "texture": "Texture classes"}
AVERAGE = "Average"


def table5(suite: Suite, results: Path, published: pd.DataFrame) -> pd.DataFrame:
    """Return the tidy table: ``row, column, metric, paper, measured, run``; figures in percent.

    A measured figure is the mean over the suite's seeds; ``run`` names the runs behind it by their
    folders below ``results``. What was not measured is blank, and so is every mean that it would
    be part of. A category without masks has no pixel figure to miss: pixel means leave it out. The
    paper's means stand only beside means over the paper's own categories.

    Args:
        suite: which categories, recipes and seeds.
        results: the folder that holds the runs.
        published: the paper's Table 5: ``row, column, metric, value``.
    """
    places = [(dataset.id, category) for dataset, category in suite.categories()]
    cells = {
        (place, column.recipe.key): _read(
            results, [Run(*place, column.recipe, s) for s in suite.seeds]
        )
        for place in places
        for column in suite.table5
    }
    kinds = {place: _kind([c for (at, _), c in cells.items() if at == place]) for place in places}
    rows = _rows(kinds)
    paper = published.set_index(["row", "column", "metric"])["value"].to_dict()
    papers_own = set(published["row"]) - {*MEANS.values(), AVERAGE}
    comparable = papers_own == {category for _, category in places}
    records = [
        {
            "row": row,
            "column": column.name,
            "metric": metric,
            "paper": paper.get((row, column.published, metric)) if single or comparable else None,
            "measured": _mean(members, metric),
            "run": " ".join(run for cell in members for run in cell.runs),
        }
        for column in suite.table5
        for metric in column.metrics
        for row, single, at in rows
        for members in [[cells[place, column.recipe.key] for place in at]]
    ]
    return pd.DataFrame(records, columns=COLUMNS)


Place = tuple[str, str]


@dataclass(frozen=True)
class _Cell:
    """What the runs of a recipe on a category, over the seeds, left behind."""

    runs: list[str]
    measured: list[dict[str, Any]]
    complete: bool


def _read(results: Path, runs: Sequence[Run]) -> _Cell:
    there = [run.id for run in runs if (results / run.id / "metrics.json").is_file()]
    measured = [read_json(results / run / "metrics.json") for run in there]
    return _Cell(there, measured, len(there) == len(runs))


def _kind(cells: Sequence[_Cell]) -> str | None:
    return next((run["kind"] for cell in cells for run in cell.measured), None)


def _rows(kinds: dict[Place, str | None]) -> list[tuple[str, bool, list[Place]]]:
    """The rows in the paper's order: name, whether one category, and whose figures it takes."""
    rows = []
    for kind in (*MEANS, None):
        members = [place for place, is_kind in kinds.items() if is_kind == kind]
        rows += [(category, True, [(dataset, category)]) for dataset, category in members]
        if kind and members:
            rows.append((MEANS[kind], False, members))
    return [*rows, (AVERAGE, False, list(kinds))]


def _mean(cells: Sequence[_Cell], metric: str) -> float | None:
    """The mean over categories of the mean over seeds, in percent; None where one is missing."""
    figures = []
    for cell in cells:
        if not cell.complete:
            return None
        if not any(metric in run["reasons"] for run in cell.measured):
            figures.append(fmean(run["metrics"][metric] for run in cell.measured))
    return 100 * fmean(figures) if figures else None
