"""Experiments: every table and figure of the paper as a grid over recipes, read from one YAML file.

A table's cell is where a row meets a column. Its recipe is the suite's own, changed in turn by the
model, the method, the experiment, the column and the row that the cell stands under; each says only
what it changes. Nothing here knows a suite: a model is a name (``single``, ``large``) that each
suite fills.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from reconpatch.datasets.category import Kind
from reconpatch.methods.registry import METHODS
from reconpatch.settings.base import Settings, read_settings, readable
from reconpatch.utils.errors import InputError

Metric = Literal[
    "image_auroc",
    "pixel_auroc",
    "image_ap",
    "image_f1_max",
    "pixel_ap",
    "pixel_f1_max",
    "aupro_30",
    "aupro_5",
    "best_image_auroc",
    "best_pixel_auroc",
    "image_auroc_optimism",
    "pixel_auroc_optimism",
    "inference_ms",
    "scoring_ms",
    "model_mib",
    "discriminability_index",
    "effective_rank",
    "neighbour_overlap",
    "left_out_spread",
    "labels_near_zero",
    "labels_near_one",
]
Deviation = Literal["median", "mean", "none"]
Topic = Literal["robustness", "ensembles", "refinement", "cost", "sensitivity"]
Changes = dict[str, Any]


def _known(method: str) -> str:
    if method not in METHODS:
        raise ValueError(f"there is no method {method}; there are {', '.join(METHODS)}")
    return method


Method = Annotated[str, AfterValidator(_known)]
"""The name of a registered method."""


class Entry(Settings):
    """A row or a column: its name, and what it changes.

    Attributes:
        name: what it is called; ``{model}`` stands for the suite's label of that model.
        published: its name in the paper's table, where that differs.
        metrics: what its cells show, where the experiment says otherwise.
        kind: only categories of this kind.
        recipe: what is changed in the recipe.
        refinement: what is changed in the refinement's settings; without it nothing is refined.
        deviation: how its ensembles' scores are scaled, where the model says otherwise.
        difference: the names of two others of the same side; its cells are the first less the
            second.
    """

    name: str
    published: str | None = None
    metrics: tuple[Metric, ...] | None = None
    kind: Kind | None = None
    method: Method | None = None
    model: str | None = None
    recipe: Changes = Field(default_factory=dict)
    refinement: Changes | None = None
    deviation: Deviation | None = None
    difference: tuple[str, str] | None = None

    @property
    def paper_name(self) -> str:
        """What the paper calls it."""
        return self.published or self.name


class Experiment(Settings):
    """A table of the paper.

    Attributes:
        stands_for: which of the paper's data sets it is about.
        metrics: what a cell shows unless its row or column says otherwise.
        method: the method, likewise.
        model: the model, likewise.
        recipe: what all cells change.
        rows: the rows; ``categories`` is one for each, with the means over them.
        rivals: columns that only suites have which name their method under ``methods``.
        every_method: whether each method of the suite gets a column of its own, where none of
            these runs it.
        ranked: whether a last row gives each column's mean rank.
        topic: the section of the report that it belongs to, unless to the tables at large.
        varies: the setting that its columns sweep over, as docs/ambiguities.md calls it.
    """

    caption: str
    stands_for: str = "MVTec AD"
    metrics: Annotated[tuple[Metric, ...], Field(min_length=1)] = ("image_auroc",)
    method: Method = "ReConPatch"
    model: str = "single"
    recipe: Changes = Field(default_factory=dict)
    rows: Literal["categories"] | Annotated[tuple[Entry, ...], Field(min_length=1)]
    columns: Annotated[tuple[Entry, ...], Field(min_length=1)]
    rivals: tuple[Entry, ...] = ()
    every_method: bool = False
    ranked: bool = False
    topic: Topic | None = None
    varies: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        rows = () if self.rows == "categories" else self.rows
        for side in ((*self.columns, *self.rivals), rows):
            _check_side(side, self.metrics)
        return self


def _check_side(side: Sequence[Entry], metrics: tuple[Metric, ...]) -> None:
    names = {entry.name for entry in side}
    filled = [(entry.name, metric) for entry in side for metric in entry.metrics or metrics]
    if twice := sorted({cell for cell in filled if filled.count(cell) > 1}):
        raise ValueError(f"{twice[0][0]!r} is filled twice with {twice[0][1]}; name each once")
    for entry in side:
        if unknown := set(entry.difference or ()) - names:
            raise ValueError(
                f"{entry.name!r} is a difference of {sorted(unknown)[0]!r}, which is not there"
            )


class Figure(Settings):
    """A figure of the paper: a kind of drawing, and the runs that it draws.

    Attributes:
        stands_for: which of the paper's data sets it is about.
        of: the runs that it draws, each with its name.
        table: the table that a sweep draws, whose columns are ranked over categories, whose
            trained methods are drawn along their epochs, or whose AUROC is drawn over time.
        categories: the paper's choice among the data set's; where none of them is there, all.
        along_training: whether it also shows the last of its runs as it was trained.
        topic: the section of the report that it belongs to, unless to the figures at large.
    """

    caption: str
    draws: Literal[
        "embedding",
        "histogram",
        "maps",
        "memory",
        "diagnostics",
        "refinement",
        "sweep",
        "ranks",
        "epochs",
        "tradeoff",
    ]
    stands_for: str = "MVTec AD"
    of: tuple[Entry, ...] = ()
    table: str | None = None
    categories: tuple[str, ...] = ()
    along_training: bool = False
    topic: Topic | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        of_table = self.draws in ("sweep", "ranks", "epochs", "tradeoff")
        if (self.table is None) == of_table or bool(self.of) == bool(self.table):
            raise ValueError(
                "sweep, ranks, epochs and tradeoff draw a table, other drawings the runs under `of`"
            )
        return self


Name = Annotated[str, Field(pattern=r"^[a-z]+S?\d+$")]


class ExperimentsFile(Settings):
    """The tables and figures of one file, which may draw another file's tables."""

    tables: dict[Name, Experiment]
    figures: dict[Name, Figure]


class Experiments(ExperimentsFile):
    """All tables and figures by names such as ``table5`` and ``figureS1``, in the paper's order."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, figure in self.figures.items():
            if figure.table and figure.table not in self.tables:
                raise ValueError(f"{name} draws {figure.table}, which is not there")
            if figure.draws == "ranks" and self.tables[figure.table or ""].rows != "categories":
                raise ValueError(f"{name} ranks {figure.table}, whose rows are not categories")
        return self


def load_experiments(*paths: Path) -> Experiments:
    """Return the tables and figures of YAML files, one file's after the other's.

    Raises:
        InputError: no such file, it holds unknown names or impossible values, two files have a
            table or figure of one name, or a figure draws a table that none of them has.
    """
    tables: dict[str, Experiment] = {}
    figures: dict[str, Figure] = {}
    for path in paths:
        found = read_settings(path, ExperimentsFile, "experiments")
        here = {*found.tables, *found.figures}
        if twice := sorted(here & {*tables, *figures} | {*found.tables} & {*found.figures}):
            raise InputError(f"{path} names {twice[0]} once more; give it another name.")
        tables |= found.tables
        figures |= found.figures
    try:
        return Experiments(tables=tables, figures=figures)
    except ValidationError as error:
        files = ", ".join(str(path) for path in paths)
        raise InputError(f"{files}: {readable(error)}") from None


def title(name: str) -> str:
    """Return what people call a table or figure: ``tableS1`` is Table S1."""
    kind, appendix, number = parts(name)
    return f"{kind.capitalize()} {appendix}{number}"


def parts(name: str) -> tuple[str, str, int]:
    """Return kind, S in the appendix, and number: in the order in which they are shown."""
    found = re.fullmatch(r"([a-z]+)(S?)(\d+)", name)
    assert found, f"{name} is not called as table5, tableS1 or figure3 are"
    return found[1], found[2], int(found[3])


def changed(recipe: Changes, *changes: Changes) -> Changes:
    """Return a recipe with changes merged into it, in turn."""
    for change in changes:
        merged = dict(recipe)
        for name, value in change.items():
            before = merged.get(name)
            if isinstance(value, dict) and isinstance(before, dict):
                value = changed(before, value)
            merged[name] = value
        recipe = merged
    return recipe
