"""A table of the paper, tidy: what it prints beside what was measured."""

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from reconpatch.evaluation.bootstrap import interval
from reconpatch.evaluation.evaluate import REPLICATES
from reconpatch.reporting.comparable import is_comparable
from reconpatch.reporting.cost import COSTS
from reconpatch.reporting.formats import METRICS, NOT_MEASURED, NOT_RUN
from reconpatch.settings.composed import AnyRecipe
from reconpatch.suites.cells import Cell, cells
from reconpatch.suites.runs import Run
from reconpatch.suites.suite import Place, Suite
from reconpatch.utils.files import read_json
from reconpatch.utils.record import DamagedError, read_record, whole

COLUMNS = [
    "row",
    "column",
    "metric",
    "paper",
    "measured",
    "runs",
    "std",
    "low",
    "high",
    "reason",
    "environment",
    "comparable",
]
"""The columns of every tidy table. AUROC is in percent, time in milliseconds, runs a JSON list."""

UNPUBLISHED = pd.DataFrame(columns=["row", "column", "metric", "value"])
"""What the paper prints of a table that is not the paper's."""

MEAN_RANK = "Mean rank"
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CellValues:
    """Figures of a cell or of one of its categories.

    Attributes:
        by_seed: one a seed, ``(S,)``; a cell's are means over its categories.
        replicates: the bootstrap's of their mean, ``(R,)``; none, ``(0,)``, of most diagnostics.
    """

    by_seed: Floats
    replicates: Floats

    def __sub__(self, other: "CellValues") -> "CellValues":
        return CellValues(self.by_seed - other.by_seed, self.replicates - other.replicates)


class Results:
    """What the runs left, each file read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.record = cache(self._read_record)
        self.replicates = cache(self._replicates)
        self.environments = cache(self._environments)
        self.listed = cache(self._listed)

    def _read_record(self, run: Run, name: str) -> dict[str, Any] | None:
        """A JSON file of a run's; None where it is not there."""
        path = self.root / run.id / name
        if name == "metrics.json" and not path.is_file() and run.id in self.listed(run):
            raise DamagedError(path, "is missing, though it was measured")
        return read_record(path) if path.is_file() else None

    def _listed(self, run: Run) -> frozenset[str]:
        """The runs of a category that batches say were measured."""
        batches = self.root.parent / "batches" / run.dataset / run.category
        return frozenset(id for path in batches.glob("*.json") for id in read_json(path)["runs"])

    def _environments(self, run: Run) -> frozenset[str]:
        """Device kind, precision, torch and FAISS of a run's steps, and of its parents'."""
        found = set()
        for step in (self.record(run, "metrics.json") or {}).get("steps", {}).values():
            if kind := step.get("device_kind"):
                device = {"cpu": "CPU", "cuda": "GPU"}.get(kind, kind)
                if step.get("matrix_precision") == "high":
                    device += " in TF32"
                versions = step["versions"]
                found.add(f"{device}, torch {versions['torch']}, FAISS {versions['faiss']}")
        return frozenset(found).union(*(self.environments(parent) for parent in run.parents))

    def _replicates(self, run: Run) -> dict[str, Floats]:
        with np.load(whole(self.root / run.id / "metrics.json", "replicates.npz")) as archive:
            return dict(archive)


def table(suite: Suite, name: str, results: Results, published: pd.DataFrame) -> pd.DataFrame:
    """Return a tidy table with the columns ``COLUMNS``, in the order in which it is shown.

    ``measured`` is the mean over the suite's seeds and the cell's categories, ``std`` the standard
    deviation over seeds of the mean over categories (with two seeds or more), ``low`` and ``high``
    bound the bootstrap's 95 % interval over test images. ``runs`` names the runs behind it by their
    folders below ``results/runs``, as a JSON list. What was not measured is blank, with its
    ``reason``. A category without masks has no pixel value to miss: pixel means leave it out.
    ``paper`` is as printed. ``environment`` says on what kind of device, with which torch and
    FAISS, a value was measured; several are separated by semicolons. ``comparable`` says whether it
    may be held against the paper's (``is_comparable``).

    What the paper prints is ``published``, as text: ``row, column, metric, value``.
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
            "comparable": is_comparable(suite, cell),
            **_record(cell, seeds_of(suite, name, cell), results),
        }
        for cell in asked
    ]
    if experiment.ranked:
        records += _mean_ranks(suite.seeds_of(name), asked, results)
    known = {entry.paper_name for entry in suite.columns(experiment)}
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


def _mean_ranks(
    seeds: tuple[int, ...], asked: list[Cell], results: Results
) -> list[dict[str, Any]]:
    """Each column's mean rank over single categories and seeds, the highest figure being first.

    Equal figures share the mean of their ranks. Differences have no rank.
    """
    records = []
    for metric in dict.fromkeys(cell.metric for cell in asked):
        ranked: dict[tuple[str, int], dict[str, float]] = {}
        runs: dict[str, list[Run]] = {}
        for cell in asked:
            if cell.metric != metric or len(cell.places) != 1 or cell.minus or not cell.recipe:
                continue
            (place,) = cell.places
            for seed in seeds:
                found = _of_place(cell, place, cell.recipe, (seed,), results)
                if not isinstance(found, str):
                    ranked.setdefault((cell.row, seed), {})[cell.column] = found.by_seed[0]
                    run = Run(place.dataset, place.category, cell.recipe, seed)
                    runs.setdefault(cell.column, []).append(run)
        ranks = pd.DataFrame(ranked).rank(ascending=False).T
        # Where one is missing, the others' ranks are not comparable.
        for column, mean in ranks.dropna().mean().items():
            where = {"row": MEAN_RANK, "column": column, "metric": metric}
            records.append({**where, "measured": mean, "runs": _ids(runs[str(column)])})
    return records


def runs_behind(cell: Cell, seeds: Iterable[int]) -> list[Run]:
    """Return the runs that a cell rests on, those of what is subtracted last."""
    return [
        Run(place.dataset, place.category, side, seed)
        for side in (cell.recipe, cell.minus)
        if side
        for place in cell.places
        for seed in seeds
    ]


def cell_values(cell: Cell, seeds: tuple[int, ...], results: Results) -> CellValues | str:
    """Return a cell's figures, or the reason why there are none."""
    if cell.recipe is None:
        assert cell.reason
        return cell.reason
    sides = [side for side in (cell.recipe, cell.minus) if side]
    measured = []
    reasons = []
    for place in cell.places:
        values = []
        for side in sides:
            found = _of_place(cell, place, side, seeds, results)
            if isinstance(found, CellValues):
                values.append(found)
            elif found.startswith(NOT_MEASURED):
                return found
            else:
                reasons.append(f"{place.name}: {found}")
                break
        else:
            measured.append(values[0] - values[1] if cell.minus else values[0])
    if not measured:
        return "; ".join(reasons)
    return CellValues(
        np.mean([found.by_seed for found in measured], axis=0),
        np.mean([found.replicates for found in measured], axis=0),
    )


def seeds_of(suite: Suite, table: str, cell: Cell) -> tuple[int, ...]:
    """Return the seeds of a table's cell: how long an image takes depends on none, one is timed."""
    return suite.seeds[:1] if cell.metric == "inference_ms" else suite.seeds_of(table)


def _record(cell: Cell, seeds: tuple[int, ...], results: Results) -> dict[str, Any]:
    """The cell's columns: its figures and the runs behind them, or why there are none."""
    behind = runs_behind(cell, seeds)
    runs = _ids(behind)
    found = cell_values(cell, seeds, results)
    if isinstance(found, str):
        return {"runs": runs, "reason": found}
    environments = frozenset[str]().union(*(results.environments(run) for run in behind))
    low, high = interval(found.replicates) if found.replicates.size else (None, None)
    return {
        "measured": float(found.by_seed.mean()),
        "runs": runs,
        "std": float(found.by_seed.std(ddof=1)) if len(seeds) > 1 else None,
        "low": low,
        "high": high,
        "environment": "; ".join(sorted(environments)) or None,
    }


def _ids(runs: list[Run]) -> str | None:
    """The runs' folders in one cell of a CSV file; a folder's name may hold any separator."""
    return json.dumps([run.id for run in runs], ensure_ascii=False) if runs else None


def _of_place(
    cell: Cell, place: Place, side: AnyRecipe, seeds: Iterable[int], results: Results
) -> CellValues | str:
    """A category's figures, or why there are none."""
    values, replicates = [], []
    for seed in seeds:
        run = Run(place.dataset, place.category, side, seed)
        wanted = "inference.json" if cell.metric == "inference_ms" else "metrics.json"
        record = results.record(run, wanted)
        if record is None:
            return f"{NOT_MEASURED}{run.id}"
        if cell.metric == "inference_ms":
            values.append(np.mean(record["milliseconds"]))
            replicates.append(_mean_replicates(record["milliseconds"], run))
            continue
        if cell.metric in COSTS:
            values.append(COSTS[cell.metric](record))
            continue
        if reason := record["reasons"].get(cell.metric):
            return str(reason)
        if cell.metric not in record["metrics"]:
            return f"{NOT_MEASURED}{run.id}, which has no {cell.metric}"
        unit = 100 if METRICS[cell.metric].unit == "%" else 1
        values.append(unit * record["metrics"][cell.metric])
        if (resampled := results.replicates(run).get(cell.metric)) is not None:
            replicates.append(unit * resampled)
    return CellValues(np.array(values), np.mean(replicates, axis=0) if replicates else np.array([]))


def _mean_replicates(milliseconds: list[float], run: Run) -> Floats:
    """The means of resampled iterations: a run's own draws, as times are not paired."""
    rng = np.random.default_rng(zlib.crc32(run.id.encode()))
    draws = rng.integers(len(milliseconds), size=(REPLICATES, len(milliseconds)))
    means: Floats = np.array(milliseconds)[draws].mean(axis=1)
    return means
