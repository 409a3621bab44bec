"""A table of the paper, tidy: what it prints beside what was measured."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from reconpatch.evaluation import interval
from reconpatch.files import read_json
from reconpatch.grid import Cell, Run, cells
from reconpatch.recipe import AnyRecipe
from reconpatch.reporting.formats import NOT_MEASURED, NOT_RUN
from reconpatch.suite import Place, Suite

COLUMNS = ["row", "column", "metric", "paper", "measured", "run", "std", "low", "high", "reason"]
"""The columns of every tidy table. AUROC is in percent, time in milliseconds."""

MEAN_RANK = "Mean rank"
Floats = npt.NDArray[np.float64]


class Results:
    """What the runs left, each file read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.story = cache(self._story)
        self.replicates = cache(self._replicates)

    def _story(self, run: Run, name: str) -> dict[str, Any] | None:
        """A JSON file of a run's; None where it is not there."""
        path = self.root / run.id / name
        return read_json(path) if path.is_file() else None

    def _replicates(self, run: Run) -> dict[str, Floats]:
        with np.load(self.root / run.id / "replicates.npz") as archive:
            return dict(archive)


def table(suite: Suite, name: str, results: Results, published: pd.DataFrame) -> pd.DataFrame:
    """Return a tidy table with the columns ``COLUMNS``, in the order in which it is shown.

    ``measured`` is the mean over the suite's seeds and the cell's categories, ``std`` the standard
    deviation over seeds of the mean over categories (with two seeds or more), ``low`` and ``high``
    bound the bootstrap's 95 % interval over test images. ``run`` names the runs behind it by their
    folders below ``results``. What was not measured is blank, with its ``reason``. A category
    without masks has no pixel figure to miss: pixel means leave it out. ``paper`` is as printed.

    Args:
        suite: which categories, recipes and seeds.
        name: the table's name, such as ``table5``.
        results: what the runs left.
        published: the paper's table as text: ``row, column, metric, value``.
    """
    experiment = suite.experiments.tables[name]
    paper = published.set_index(["row", "column", "metric"])["value"].to_dict()
    asked = cells(suite, name)
    records = [
        {
            "row": cell.row,
            "column": cell.column,
            "metric": cell.metric,
            "paper": paper.get((*cell.paper, cell.metric)),
            **_measured(
                cell,
                # How long an image takes does not depend on the seed: one is timed.
                suite.seeds[:1] if cell.metric == "inference_ms" else suite.seeds,
                results,
            ),
        }
        for cell in asked
    ]
    if experiment.ranked:
        records += _mean_ranks(suite, asked, results)
    known = {entry.paper_name for entry in experiment.columns}
    rows = dict.fromkeys((cell.row, cell.paper[0]) for cell in asked)
    others = dict.fromkeys(c for c in published["column"] if c not in known)
    records += [
        {"row": row, "column": column, "metric": metric, "paper": printed, "reason": NOT_RUN}
        for row, in_paper in rows
        for column in others
        for metric in experiment.metrics
        if pd.notna(printed := paper.get((in_paper, column, metric)))
    ]
    tidy = pd.DataFrame(records, columns=COLUMNS)
    order = {row: at for at, row in enumerate([*(row for row, _ in rows), MEAN_RANK])}
    return tidy.sort_values("row", key=lambda row: row.map(order), kind="stable", ignore_index=True)


def _mean_ranks(suite: Suite, asked: list[Cell], results: Results) -> list[dict[str, Any]]:
    """Each column's mean rank over single categories and seeds, the highest figure being first.

    Equal figures share the mean of their ranks. Differences have no rank.
    """
    records = []
    for metric in dict.fromkeys(cell.metric for cell in asked):
        figures: dict[tuple[str, int], dict[str, float]] = {}
        runs: dict[str, list[str]] = {}
        for cell in asked:
            if cell.metric != metric or len(cell.places) != 1 or cell.less or not cell.recipe:
                continue
            (place,) = cell.places
            for seed in suite.seeds:
                found = _of_place(cell, place, cell.recipe, (seed,), results)
                if not isinstance(found, str):
                    figures.setdefault((cell.row, seed), {})[cell.column] = found[0][0]
                    run = Run(place.dataset, place.category, cell.recipe, seed)
                    runs.setdefault(cell.column, []).append(run.id)
        ranks = pd.DataFrame(figures).rank(ascending=False).T
        # Where one is missing, the others' ranks are not comparable.
        for column, mean in ranks.dropna().mean().items():
            records.append(
                {
                    "row": MEAN_RANK,
                    "column": column,
                    "metric": metric,
                    "measured": mean,
                    "run": " ".join(runs[str(column)]),
                }
            )
    return records


def _measured(cell: Cell, seeds: tuple[int, ...], results: Results) -> dict[str, Any]:
    """The cell's figures and the runs behind them, or the reason why there are none."""
    if cell.recipe is None:
        return {"run": "", "reason": cell.reason}
    sides = [side for side in (cell.recipe, cell.less) if side]
    runs = [
        Run(place.dataset, place.category, side, seed)
        for place in cell.places
        for side in sides
        for seed in seeds
    ]
    run_ids = " ".join(run.id for run in runs)
    measured: list[Floats] = []
    replicates: list[Floats] = []
    reasons = []
    for place in cell.places:
        found = [_of_place(cell, place, side, seeds, results) for side in sides]
        if missing := [reason for reason in found if isinstance(reason, str)]:
            if missing[0].startswith(NOT_MEASURED):
                return {"run": run_ids, "reason": missing[0]}
            reasons.append(f"{place.name}: {missing[0]}")
            continue
        values, resampled = zip(*(f for f in found if not isinstance(f, str)), strict=True)
        measured.append(values[0] - values[1] if cell.less else values[0])
        replicates.append(resampled[0] - resampled[1] if cell.less else resampled[0])
    if not measured:
        return {"run": run_ids, "reason": "; ".join(reasons)}
    by_seed = np.mean(measured, axis=0)
    low, high = interval(np.mean(replicates, axis=0)) if replicates[0].size else (None, None)
    return {
        "measured": float(by_seed.mean()),
        "run": run_ids,
        "std": float(by_seed.std(ddof=1)) if len(seeds) > 1 else None,
        "low": low,
        "high": high,
    }


def _of_place(
    cell: Cell, place: Place, side: AnyRecipe, seeds: Iterable[int], results: Results
) -> tuple[Floats, Floats] | str:
    """A category's figures, one a seed, and the replicates of their mean; or why there are none."""
    values, replicates = [], []
    for seed in seeds:
        run = Run(place.dataset, place.category, side, seed)
        wanted = "inference.json" if cell.metric == "inference_ms" else "metrics.json"
        story = results.story(run, wanted)
        if story is None:
            return f"{NOT_MEASURED}{run.id}"
        if cell.metric == "inference_ms":
            values.append(np.mean(story["milliseconds"]))
            continue
        if reason := story["reasons"].get(cell.metric):
            return str(reason)
        unit = 100 if cell.metric in ("image_auroc", "pixel_auroc") else 1
        values.append(unit * story["metrics"][cell.metric])
        if (resampled := results.replicates(run).get(cell.metric)) is not None:
            replicates.append(unit * resampled)
    return np.array(values), np.mean(replicates, axis=0) if replicates else np.array([])
