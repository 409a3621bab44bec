"""A table's cells and a figure's panels: what each shows, and the recipe behind it."""

from collections.abc import Iterator
from dataclasses import dataclass

from reconpatch.methods.by_epochs import EpochRecipe
from reconpatch.settings.composed import AnyRecipe
from reconpatch.suites.experiments import Entry, Experiment, Metric
from reconpatch.suites.suite import Place, Suite

KINDS = {"object": "Object classes", "texture": "Texture classes"}
AVERAGE = "Average"
RANKED = 5
"""Categories over which methods are ranked at least: fewer tell hardly any two apart."""


@dataclass(frozen=True)
class Cell:
    """One figure of a table, in the row and column that are shown and those of the paper's table.

    It is the mean over ``places`` of what ``recipe`` gives, less what ``minus`` gives, if anything.
    Where the suite measures nothing, ``recipe`` is None and ``reason`` says why.
    """

    row: str
    column: str
    paper: tuple[str, str]
    metric: Metric
    places: tuple[Place, ...]
    recipe: AnyRecipe | None = None
    minus: AnyRecipe | None = None
    reason: str | None = None


def cells(suite: Suite, table: str) -> list[Cell]:
    """Return a table's cells, row by row, in the order in which they are shown.

    Raises:
        InputError: a cell's changes make no recipe.
    """
    experiment = suite.experiments.tables[table]
    places = _places(suite, table, experiment.stands_for)
    found = []
    for row, members in _rows(suite, table, experiment, places):
        for column in _columns(suite, table, experiment):
            for metric in column.metrics or row.metrics or experiment.metrics:
                found.append(_cell(suite, experiment, row, column, metric, members))
    return found


def _places(suite: Suite, name: str, stands_for: str | None) -> tuple[Place, ...]:
    """The categories of a table or a figure that the suite takes: all, or those of its grid."""
    grid = suite.grids.get(name, ())
    places = tuple(suite.places(stands_for))
    return tuple(place for place in places if place.category in grid) or places


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


def _columns(suite: Suite, table: str, experiment: Experiment) -> tuple[Entry, ...]:
    """The columns that the suite takes, and one for each of its methods that none of them runs.

    A column whose model the suite lacks runs none.
    """
    columns = suite.columns(experiment)
    taken = _taken(suite, table, columns)
    if not experiment.every_method:
        return taken
    models = suite.models if experiment.model in suite.models else {experiment.model}
    run = {
        column.method or experiment.method
        for column in columns
        if (column.model or experiment.model) in models
    }
    return taken + tuple(
        Entry(name=method, method=method) for method in suite.methods if method not in run
    )


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
    sides = _sides(experiment, row, column)
    used = [c.model or r.model or experiment.model for r, c in sides]
    reason, recipes = None, []
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
    paper = (row.paper_name, column.paper_name)
    recipe, minus = [*recipes, None, None][:2]
    return Cell(row.name, shown, paper, metric, of, recipe, minus, reason)


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
    what its table does, and epochs what of it is trained by them. Nothing is returned where the
    figure is left out (:func:`left_out`).
    """
    figure = suite.experiments.figures[name]
    if figure.table:
        shown = [
            (cell.column, place, cell.recipe)
            for cell in cells(suite, figure.table)
            if cell.recipe
            for place in cell.places
        ]
        if figure.draws == "epochs":
            return [each for each in shown if isinstance(each[2], EpochRecipe)]
        few = figure.draws == "ranks" and len({place for _, place, _ in shown}) < RANKED
        return [] if few else shown
    places = _places(suite, name, figure.stands_for)
    chosen = [p for c in figure.categories for p in places if p.category == c] or places
    if figure.draws in ("embedding", "histogram"):
        chosen = chosen[:1]
    found = []
    for place in chosen:
        for entry in _taken(suite, name, figure.of):
            model = entry.model or "single"
            if model in suite.models:
                recipe = suite.recipe_of(model, entry.method or "ReConPatch", entry.recipe)
                found.append((entry.name, place, suite.refined(recipe, entry.refinement)))
    return found


def left_out(suite: Suite, name: str) -> str | None:
    """Return why the suite does not draw a figure; None where it does."""
    figure = suite.experiments.figures[name]
    if panels(suite, name):
        return None
    if figure.draws == "epochs":
        return "no method of the suite trains by epochs"
    if figure.draws == "ranks" and figure.table:
        places = {place for cell in cells(suite, figure.table) for place in cell.places}
        if 0 < len(places) < RANKED:
            return (
                f"methods are ranked over {RANKED} categories or more, and the suite has "
                f"{len(places)}"
            )
    return "the suite lacks the data set or the model"
