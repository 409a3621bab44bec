"""The answer that a report begins with: its methods side by side, and what it can say."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from reconpatch.reporting.formats import METRICS
from reconpatch.suites.cells import AVERAGE, Cell, cells
from reconpatch.suites.experiments import Metric, title
from reconpatch.suites.suite import Suite

ASKED: tuple[Metric, ...] = ("image_auroc", "pixel_auroc", "aupro_30", "scoring_ms", "model_mib")
"""What somebody who chooses a method asks of it."""

NAMED = 5
"""Categories that the caption names one by one; more are counted."""


@dataclass(frozen=True)
class Answer:
    """A small table: a row a method, a column a metric."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str | None, ...]], ...]


def answer(suite: Suite, tables: Mapping[str, pd.DataFrame]) -> Answer | None:
    """Return the averages of the table that shows every method category by category.

    What other tables say of the same recipes on the same categories stands beside them. None where
    no such table has a measured figure.
    """
    measured = {
        name: tidy.set_index(["row", "column", "metric"])["measured"].dropna().to_dict()
        for name, tidy in tables.items()
    }
    first = next(
        (
            name
            for name, of in suite.experiments.tables.items()
            if of.every_method and of.rows == "categories" and measured.get(name)
        ),
        None,
    )
    if first is None:
        return None
    averages: dict[str, list[Cell]] = {}
    for cell in cells(suite, first):
        if cell.row == AVERAGE and cell.recipe:
            averages.setdefault(cell.column, []).append(cell)
    known = {column: {_on(cell) for cell in own} for column, own in averages.items()}
    # The table's own figures first: what it takes for pixels may be another recipe.
    values: dict[tuple[str, str], float] = {}
    for name in (first, *measured):
        for cell in cells(suite, name):
            value = measured[name].get((cell.row, cell.column, cell.metric))
            if cell.recipe is None or cell.minus or value is None:
                continue
            measures = _on(cell)
            for column, own in averages.items():
                if cell in own if name == first else measures in known[column]:
                    values.setdefault((column, cell.metric), value)
    metrics = [m for m in ASKED if any((column, m) in values for column in averages)]
    rows = {}
    for column in averages:
        figures = [(values.get((column, metric)), METRICS[metric]) for metric in metrics]
        if any(value is not None for value, _ in figures):
            rows[column] = tuple(None if v is None else form.text(v) for v, form in figures)
    columns = tuple(f"{METRICS[m].name}, {METRICS[m].unit}" for m in metrics)
    ((cell, *_), *_) = averages.values()
    names = [place.name.replace("_", " ") for place in cell.places]
    what = ", ".join(names) if len(names) <= NAMED else f"{len(names)} categories"
    return Answer(f"{title(first)} in short, averages over {what}", columns, tuple(rows.items()))


def _on(cell: Cell) -> str:
    """What a cell measures: its recipe and categories."""
    assert cell.recipe
    places = " ".join(f"{place.dataset}/{place.category}" for place in cell.places)
    return f"{cell.recipe.key} {places}"


def limits(suite: Suite, tables: Mapping[str, pd.DataFrame]) -> str:
    """Return one sentence on what the suite's figures can and cannot say."""
    comparable = any(tidy["comparable"].eq(True).any() for tidy in tables.values())
    seeds = (
        "one seed, so that no interval holds the chance of training and coreset"
        if len(suite.seeds) == 1
        else f"{len(suite.seeds)} seeds"
    )
    drawn = any(dataset.source.layout == "demo" for dataset in suite.datasets)
    data = "Drawn images" if drawn else "These images"
    if comparable:
        return (
            f"Measured with {seeds}. Where data set, categories, backbone and image size are the "
            "paper's, figures stand against the paper's; elsewhere only against each other."
        )
    return (
        f"{data}, {seeds}: the figures compare methods with each other on what is here, and say "
        "nothing about the paper's own data; suite paper measures that."
    )
