"""From experiments and a suite to cells, and from cells to the unique runs behind them.

A run is named by its content, so that cells of several tables share one. Each run belongs to the
first experiment that asks for it; an experiment's runs on a category are one batch, measured in one
process, and a batch waits for those whose runs or representations it uses.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from reconpatch.experiments import Entry, Experiment, Metric
from reconpatch.recipe import AnyRecipe, Ensemble, PatchSettings, Recipe, Refined
from reconpatch.suite import Place, Suite

KINDS = {"object": "Object classes", "texture": "Texture classes"}
AVERAGE = "Average"


@dataclass(frozen=True)
class Run:
    """A recipe, an ensemble of recipes, or either of them refined, on a category with a seed."""

    dataset: str
    category: str
    recipe: AnyRecipe
    seed: int

    @property
    def id(self) -> str:
        """Where its results lie below ``results/runs``."""
        return f"{self.dataset}/{self.category}/{self.recipe.key}/{self.seed}"

    @property
    def parents(self) -> tuple["Run", ...]:
        """The runs that it goes on from: those that an ensemble fuses, the one that is refined."""
        recipes: tuple[AnyRecipe, ...] = ()
        if isinstance(self.recipe, Ensemble):
            recipes = self.recipe.members
        elif isinstance(self.recipe, Refined):
            recipes = (self.recipe.of,)
        return tuple(Run(self.dataset, self.category, recipe, self.seed) for recipe in recipes)

    @property
    def line(self) -> tuple["Run", ...]:
        """All that it rests on, each after its own parents, and last the run itself."""
        before = (run for parent in self.parents for run in parent.line)
        return (*dict.fromkeys(before), self)

    @property
    def members(self) -> tuple["Run", ...]:
        """The recipes' runs among them; a recipe's run itself."""
        return tuple(run for run in self.line if isinstance(run.recipe, Recipe))

    @property
    def representation(self) -> str | None:
        """What names the layer f that it uses below its category; None where there is none."""
        if not isinstance(self.recipe, Recipe) or self.recipe.pooled:
            return None
        key = hashlib.sha256(
            f"{self.recipe.train_patches.key} {self.recipe.representation.key}".encode()
        ).hexdigest()[:12]
        return f"{key}/{self.seed}"


@dataclass(frozen=True)
class Cell:
    """One figure of a table.

    Attributes:
        row: the row as it is shown.
        column: the column as it is shown.
        paper: row and column as the paper's table has them.
        metric: what it shows.
        places: the categories that it is the mean over.
        recipe: what is measured; None where the suite cannot.
        less: what is subtracted from it, if anything.
        reason: why nothing is measured.
    """

    row: str
    column: str
    paper: tuple[str, str]
    metric: Metric
    places: tuple[Place, ...]
    recipe: AnyRecipe | None = None
    less: AnyRecipe | None = None
    reason: str | None = None


def cells(suite: Suite, table: str) -> list[Cell]:
    """Return a table's cells, row by row, in the order in which they are shown.

    Raises:
        InputError: a cell's changes make no recipe.
    """
    experiment = suite.experiments.tables[table]
    grid = suite.grids.get(table, ())
    places = tuple(suite.places(experiment.stands_for))
    places = tuple(place for place in places if place.category in grid) or places
    found = []
    for row, members in _rows(suite, table, experiment, places):
        for column in _taken(suite, table, experiment.columns):
            for metric in column.metrics or row.metrics or experiment.metrics:
                found.append(_cell(suite, experiment, row, column, metric, members))
    return found


def _rows(
    suite: Suite, table: str, experiment: Experiment, places: tuple[Place, ...]
) -> Iterator[tuple[Entry, tuple[Place, ...]]]:
    """Yield the rows with the categories that each is about."""
    if experiment.rows != "categories":
        for entry in _taken(suite, table, experiment.rows):
            yield entry, places
        return
    for kind in (*KINDS, None):
        of_kind = tuple(place for place in places if place.kind == kind)
        for place in of_kind:
            yield Entry(name=place.name), (place,)
        if kind and of_kind:
            yield Entry(name=KINDS[kind]), of_kind
    yield Entry(name=AVERAGE), places


def _taken(suite: Suite, name: str, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The entries of a table's side or a figure that the suite takes: all, or those of its grid."""
    grid = suite.grids.get(name, ())
    return tuple(entry for entry in entries if entry.name in grid) or entries


def _cell(
    suite: Suite,
    experiment: Experiment,
    row: Entry,
    column: Entry,
    metric: Metric,
    places: tuple[Place, ...],
) -> Cell:
    kind = column.kind or row.kind
    of = tuple(place for place in places if kind in (None, place.kind))
    shown = column.name
    for name, model in suite.models.items():
        shown = shown.replace(f"{{{name}}}", model.label)
    cell = Cell(row.name, shown, (row.paper_name, column.paper_name), metric, of)
    sides = _sides(experiment, row, column)
    used = [_model(experiment, *side) for side in sides]
    if not places:
        reason = f"the suite has no data set that stands for {experiment.stands_for}"
    elif not of:
        reason = f"the suite has no {kind} category"
    elif missing := [model for model in used if model not in suite.models]:
        reason = f"the suite has no model {missing[0]}"
    else:
        recipes = [
            suite.refined(
                suite.recipe_of(
                    model,
                    c.method or r.method or experiment.method,
                    experiment.recipe,
                    c.recipe,
                    r.recipe,
                    deviation=c.deviation or r.deviation,
                ),
                c.refinement,
                r.refinement,
            )
            for model, (r, c) in zip(used, sides, strict=True)
        ]
        return replace(cell, recipe=recipes[0], less=recipes[1] if len(recipes) > 1 else None)
    return replace(cell, reason=reason)


def _model(experiment: Experiment, row: Entry, column: Entry) -> str:
    return column.model or row.model or experiment.model


def _sides(experiment: Experiment, row: Entry, column: Entry) -> list[tuple[Entry, Entry]]:
    """The row and column that a cell runs; of a difference, those that it is taken between."""
    if column.difference:
        named = {entry.name: entry for entry in experiment.columns}
        return [(row, named[name]) for name in column.difference]
    if row.difference:
        assert experiment.rows != "categories"
        named = {entry.name: entry for entry in experiment.rows}
        return [(named[name], column) for name in row.difference]
    return [(row, column)]


def panels(suite: Suite, name: str) -> list[tuple[str, Place, AnyRecipe]]:
    """Return what a figure draws: names with a category and a recipe each, category by category.

    An embedding and a histogram show one category, the paper's where it is there; a sweep shows
    what its table does. Nothing is returned where the suite lacks the data set or the model.
    """
    figure = suite.experiments.figures[name]
    if figure.table:
        return [
            (cell.column, place, cell.recipe)
            for cell in cells(suite, figure.table)
            if cell.recipe
            for place in cell.places
        ]
    places = list(suite.places(figure.stands_for))
    chosen = [p for c in figure.categories for p in places if p.category == c] or places
    if figure.draws in ("embedding", "histogram"):
        chosen = chosen[:1]
    return [
        (
            entry.name,
            place,
            suite.refined(
                suite.recipe_of(
                    entry.model or "single", entry.method or "ReConPatch", entry.recipe
                ),
                entry.refinement,
            ),
        )
        for place in chosen
        for entry in _taken(suite, name, figure.of)
        if (entry.model or "single") in suite.models
    ]


def runs_of(suite: Suite, experiment: str) -> list[Run]:
    """Return the unique runs behind a table or a figure, each after those that it rests on."""
    if experiment in suite.experiments.tables:
        asked = [
            (place, recipe)
            for cell in cells(suite, experiment)
            for recipe in (cell.recipe, cell.less)
            if recipe
            for place in cell.places
        ]
    else:
        asked = [(place, recipe) for _, place, recipe in panels(suite, experiment)]
    found = [
        Run(place.dataset, place.category, recipe, seed)
        for place, recipe in asked
        for seed in suite.seeds
    ]
    return list(dict.fromkeys(run for last in found for run in last.line))


@dataclass(frozen=True)
class Batch:
    """What one process measures: the runs of a category that belong to an experiment.

    Attributes:
        experiment: the table or figure.
        dataset: the data set's id.
        category: the category's name.
        runs: what it measures, each after those that it rests on.
        after: the experiments whose batches on the category come first.
    """

    experiment: str
    dataset: str
    category: str
    runs: tuple[Run, ...]
    after: tuple[str, ...]

    @property
    def id(self) -> str:
        """What names its file below ``results/batches``, less the ending."""
        return f"{self.dataset}/{self.category}/{self.experiment}"

    @property
    def simulates_textures(self) -> bool:
        """Whether some of its runs simulate defects that are filled with textures."""
        return any(
            isinstance(run.recipe, Refined) and run.recipe.refinement.anomaly == "texture"
            for run in self.runs
        )

    @property
    def patches(self) -> tuple[PatchSettings, ...]:
        """The patch features that it reads."""
        recipes = [member.recipe for run in self.runs for member in run.members]
        return tuple(
            dict.fromkeys(
                patches
                for recipe in recipes
                if isinstance(recipe, Recipe)
                for patches in (recipe.train_patches, recipe.test_patches)
            )
        )


def batches(suite: Suite) -> list[Batch]:
    """Return a suite's work, every unique run in one batch, in an order that keeps ``after``."""
    owner: dict[Run, str] = {}
    trainer: dict[tuple[str, str, str], str] = {}
    found = []
    for experiment in (*suite.experiments.tables, *suite.experiments.figures):
        asked = runs_of(suite, experiment)
        by_category: dict[tuple[str, str], list[Run]] = {}
        for run in asked:
            if owner.setdefault(run, experiment) == experiment:
                by_category.setdefault((run.dataset, run.category), []).append(run)
        for (dataset, category), runs in by_category.items():
            after = {owner[before] for run in runs for before in run.line}
            for run in runs:
                if run.representation:
                    key = (dataset, category, run.representation)
                    after.add(trainer.setdefault(key, experiment))
            found.append(
                Batch(
                    experiment, dataset, category, tuple(runs), tuple(sorted(after - {experiment}))
                )
            )
    return found


def timed_runs(suite: Suite) -> list[Run]:
    """Return the unique runs of which a table shows the inference time, of the first seed."""
    found = [
        Run(place.dataset, place.category, cell.recipe, suite.seeds[0])
        for table in suite.experiments.tables
        for cell in cells(suite, table)
        if cell.metric == "inference_ms" and isinstance(cell.recipe, Recipe)
        for place in cell.places
    ]
    return list(dict.fromkeys(found))


def backbones(suite: Suite) -> list[str]:
    """Return the names of the backbones that the suite's runs use."""
    return sorted({p.features.backbone for batch in batches(suite) for p in batch.patches})


def summary(suite: Suite) -> str:
    """Say how many runs each table and figure is made of, and how many of all are unique."""
    lines = [f"{'':<14}{'cells':>7}{'their runs':>12}{'unique':>8}{'new':>8}"]
    seen: set[Run] = set()
    all_cells = 0
    for name in (*suite.experiments.tables, *suite.experiments.figures):
        runs = set(runs_of(suite, name))
        shown, of_cells = "", 0
        if name in suite.experiments.tables:
            measured = [cell for cell in cells(suite, name) if cell.recipe]
            shown = str(len(measured))
            of_cells = sum(len(c.places) * (1 + bool(c.less)) for c in measured) * len(suite.seeds)
        all_cells += of_cells
        lines.append(f"{name:<14}{shown:>7}{of_cells or '':>12}{len(runs):>8}{len(runs - seen):>8}")
        seen |= runs
    lines.append(f"{'in all':<14}{'':>7}{all_cells:>12}{'':>8}{len(seen):>8}")
    return f"Suite {suite.name}: runs behind its tables and figures\n" + "\n".join(lines)
