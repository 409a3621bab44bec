"""A tidy table as the report page shows it: cells with all that is known of a figure."""

import json
from collections import Counter
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
        comparable: whether the paper's figure is of the same data, backbone and image size.
        difference: measured less printed, with its sign, after an arrow that says the same; None
            where they are not comparable.
        spread: the standard deviation over seeds.
        links: the places on the page that tell of its runs, with their names.
        ours: whether we run what it is about.
        environment: where it was measured, if the table's values come from several environments.
    """

    value: float | None = None
    measured: str | None = None
    paper: str | None = None
    comparable: bool = False
    difference: str | None = None
    spread: str | None = None
    interval: str | None = None
    links: tuple[tuple[str, str], ...] = ()
    reason: str | None = None
    ours: bool = True
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


def table_view(tidy: pd.DataFrame) -> TableView:
    """Return a tidy table in the paper's shape, each figure with all that is known of it."""
    environments = tuple(sorted(tidy["environment"].dropna().unique()))
    if len(environments) < 2 and not any(";" in each for each in environments):
        environments = ()
    records = tidy.astype(object).where(tidy.notna(), None).to_dict("records")
    by_place = {
        (record["row"], record["column"], record["metric"]): _cell(record, bool(environments))
        for record in records
    }
    pairs = tidy.groupby(["row", "column"], sort=False)["metric"].nunique().groupby("column").max()
    columns: list[ColumnView] = []
    shown: list[tuple[str, list[str]]] = []
    for name, column in tidy.groupby("column", sort=False):
        metrics = list(dict.fromkeys(column["metric"]))
        if pairs[name] > 1:
            columns.append(ColumnView(str(name), tuple(PAIR_NAMES[m] for m in metrics)))
            shown += [(str(name), [metric]) for metric in metrics]
        else:
            columns.append(ColumnView(str(name), ()))
            shown.append((str(name), metrics))
    categories = AVERAGE in set(tidy["row"])
    rows = []
    for row in dict.fromkeys(tidy["row"]):
        figures = []
        for column_name, metrics in shown:
            found = (by_place.get((row, column_name, metric)) for metric in metrics)
            figures.append(next((figure for figure in found if figure), CellView()))
        rows.append(RowView(row_name(row) if categories else row, row in MEANS, tuple(figures)))
    return TableView(tuple(columns), tuple(rows), environments)


def _cell(record: dict[Any, Any], mixed: bool) -> CellView:
    form = METRICS[record["metric"]]
    measured, paper = record["measured"], record["paper"]
    ours = record["reason"] != NOT_RUN
    if measured is None:
        value = None if ours or paper is None else float(paper)
        return CellView(value, paper=paper, reason=record["reason"] if ours else None, ours=ours)
    comparable = bool(record["comparable"])
    printed = float(paper) if comparable and paper is not None else None
    low, high, spread = record["low"], record["high"], record["std"]
    return CellView(
        value=measured,
        measured=form.text(measured),
        paper=paper,
        comparable=comparable,
        difference=None if printed is None else signed(measured - printed, form.decimals),
        spread=None if spread is None else form.text(spread),
        interval=None if low is None else f"{form.text(low)} to {form.text(high)}",
        links=tuple(_links(record["runs"])),
        environment=record["environment"] if mixed else None,
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


def _links(runs: str | None) -> Iterator[tuple[str, str]]:
    """Yield where the page tells of runs: a single one's line, or the recipes of several."""
    ids = json.loads(runs or "[]")
    if len(ids) == 1:
        yield anchor("run", ids[0]), ids[0]
        return
    for key, count in Counter(name.split("/")[-2] for name in ids).items():
        yield anchor("recipe", key), f"recipe {key}, {count} runs"
