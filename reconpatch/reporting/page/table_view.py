"""A tidy table as the report page shows it: cells with all that is known of a figure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pandas as pd

from reconpatch.reporting.formats import METRICS, NOT_RUN, PAIR_NAMES, row_name
from reconpatch.suites.cells import AVERAGE, KINDS

MEANS = {*KINDS.values(), AVERAGE, "Mean rank"}


@dataclass(frozen=True)
class CellView:
    """One figure of a cell, as text.

    Attributes:
        value: what the column is sorted by; None sorts last.
        measured: the figure; None where there is none.
        paper: what the paper prints.
        difference: measured less printed, with its sign, after an arrow that says the same.
        spread: the standard deviation over seeds.
        interval: the ends of the 95 % interval.
        links: the places on the page that tell of its runs, with their names.
        reason: why it is missing.
        ours: whether we run what it is about.
        environment: where it was measured, if the table's values come from several environments.
    """

    value: float | None
    measured: str | None
    paper: str | None
    difference: str | None
    spread: str | None
    interval: str | None
    links: tuple[tuple[str, str], ...]
    reason: str | None
    ours: bool
    environment: str | None = None


@dataclass(frozen=True)
class ColumnView:
    """A column's name and what stands side by side under it: nothing or two metrics or more."""

    name: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class RowView:
    """A row's name, whether it is a mean over others, and a figure for each part of a column."""

    name: str
    mean: bool
    cells: tuple[CellView, ...]


@dataclass(frozen=True)
class TableView:
    """A table: its columns and rows, and the environments of its values if they are several."""

    columns: tuple[ColumnView, ...]
    rows: tuple[RowView, ...]
    environments: tuple[str, ...]

    @property
    def paired(self) -> bool:
        """Whether the head has a second line."""
        return any(column.parts for column in self.columns)


NOTHING = CellView(None, None, None, None, None, None, (), None, ours=True)


def table_view(tidy: pd.DataFrame) -> TableView:
    """Return a tidy table in the paper's shape, each figure with all that is known of it."""
    environments = tuple(sorted(tidy["environment"].dropna().unique()))
    if len(environments) < 2 and not any(";" in each for each in environments):
        environments = ()
    by_place = {
        (record["row"], record["column"], record["metric"]): _cell(record, bool(environments))
        for record in tidy.to_dict("records")
    }
    pairs = tidy.groupby(["row", "column"], sort=False)["metric"].nunique().groupby("column").max()
    columns: list[ColumnView] = []
    metrics: list[tuple[str, list[str]]] = []
    for name, column in tidy.groupby("column", sort=False):
        of_column = list(dict.fromkeys(column["metric"]))
        if pairs[name] > 1:
            columns.append(ColumnView(str(name), tuple(PAIR_NAMES[m] for m in of_column)))
            metrics += [(str(name), [metric]) for metric in of_column]
        else:
            columns.append(ColumnView(str(name), ()))
            metrics.append((str(name), of_column))
    categories = AVERAGE in set(tidy["row"])
    rows = tuple(
        RowView(
            row_name(row) if categories else row,
            row in MEANS,
            tuple(_first(by_place, row, column, allowed) for column, allowed in metrics),
        )
        for row in dict.fromkeys(tidy["row"])
    )
    return TableView(tuple(columns), rows, environments)


def _first(
    by_place: dict[tuple[str, str, str], CellView], row: str, column: str, metrics: list[str]
) -> CellView:
    found = (by_place.get((row, column, metric)) for metric in metrics)
    return next((figure for figure in found if figure), NOTHING)


def _cell(record: dict[Any, Any], mixed: bool) -> CellView:
    form = METRICS[record["metric"]]
    measured = None if pd.isna(record["measured"]) else record["measured"]
    paper = None if pd.isna(record["paper"]) else record["paper"]
    difference = interval = spread = None
    if measured is not None and paper is not None:
        difference = signed(measured - float(paper), form.decimals)
    if measured is not None and pd.notna(record["low"]):
        interval = f"{form.text(record['low'])} to {form.text(record['high'])}"
    if measured is not None and pd.notna(record["std"]):
        spread = form.text(record["std"])
    ours = record["reason"] != NOT_RUN
    return CellView(
        value=measured if ours else paper and float(paper),
        measured=None if measured is None else form.text(measured),
        paper=paper,
        difference=difference,
        spread=spread,
        interval=interval,
        links=tuple(_links(record["runs"])) if measured is not None else (),
        reason=None if pd.isna(record["reason"]) or not ours else record["reason"],
        ours=ours,
        environment=record["environment"] if mixed and measured is not None else None,
    )


def signed(difference: float, decimals: int = 2) -> str:
    """Return a difference after an arrow up or down, so that its sign is read at a glance."""
    rounded = round(difference, decimals)
    if not rounded:
        return f"= {0:.{decimals}f}"
    return f"{'▲ +' if rounded > 0 else '▼ −'}{abs(rounded):.{decimals}f}"


def anchor(kind: str, name: str) -> str:
    """Return what names a run or a recipe within the page."""
    return f"{kind}-{quote(name)}"


def _links(runs: Any) -> Iterator[tuple[str, str]]:
    """Yield where the page tells of runs: a single one's line, or the recipes of several."""
    if pd.isna(runs):
        return
    ids = json.loads(runs)
    if len(ids) == 1:
        yield anchor("run", ids[0]), ids[0]
        return
    keys = dict.fromkeys(name.split("/")[-2] for name in ids)
    for key in keys:
        count = sum(name.split("/")[-2] == key for name in ids)
        yield anchor("recipe", key), f"recipe {key}, {count} runs"
