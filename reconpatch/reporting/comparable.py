"""Whether a measured figure may be held against the paper's: data, backbones, image sizes."""

import csv
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from reconpatch.datasets.published import published_category
from reconpatch.fetching.catalogue import known_datasets
from reconpatch.settings.composed import AnyRecipe, Ensemble, Refined
from reconpatch.settings.recipe import Recipe
from reconpatch.suites.cells import Cell
from reconpatch.suites.suite import Suite


def is_comparable(suite: Suite, cell: Cell) -> bool:
    """Return whether a cell's difference from the paper's figure means anything.

    It does on the paper's own data set, over all categories that the paper's mean is over, with
    backbones at image sizes that the paper measures (``paper_backbones.csv``).
    """
    datasets = {dataset.id: dataset for dataset in suite.datasets}
    ids = {place.dataset for place in cell.places}
    if cell.recipe is None or len(ids) != 1:
        return False
    dataset = datasets[ids.pop()]
    known = known_datasets().get(dataset.source.dataset)
    if known is None or known.title != dataset.stands_for:
        return False
    if len(cell.places) > 1:
        kinds = {place.kind for place in cell.places}
        every = {
            folder.category: published_category(dataset.source.dataset, folder.category)
            for folder in known.folders
        }
        wanted = {
            name
            for name, category in every.items()
            if category and (len(kinds) > 1 or category.kind in kinds)
        }
        if {place.category for place in cell.places} != wanted:
            return False
    measured = {(m.features.backbone, m.features.size) for m in _members(cell.recipe)}
    return measured <= _measured_by_the_paper()


def _members(recipe: AnyRecipe) -> Iterator[Recipe]:
    if isinstance(recipe, Recipe):
        yield recipe
    elif isinstance(recipe, Ensemble):
        yield from recipe.members
    elif isinstance(recipe, Refined):
        yield from _members(recipe.of)


@cache
def _measured_by_the_paper() -> frozenset[tuple[str, int]]:
    with (files(__package__) / "paper_backbones.csv").open() as lines:
        return frozenset((row["backbone"], int(row["size"])) for row in csv.DictReader(lines))
