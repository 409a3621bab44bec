"""The unique runs behind a suite's cells, and the batches in which they are measured.

A run is named by its content, so that cells of several tables share one. Each run belongs to the
first experiment that asks for it; an experiment's runs on a category are one batch, measured in one
process, and a batch waits for those whose runs or representations it uses.
"""

import hashlib
from dataclasses import dataclass

from reconpatch.methods.registry import METHODS
from reconpatch.settings.composed import AnyRecipe, Refined
from reconpatch.settings.features import ExtractionSettings
from reconpatch.settings.recipe import Recipe
from reconpatch.suites.cells import cells, panels
from reconpatch.suites.suite import Suite
from reconpatch.utils.steps import STEPS


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
        return tuple(
            Run(self.dataset, self.category, recipe, self.seed) for recipe in self.recipe.parents
        )

    @property
    def ancestors(self) -> tuple["Run", ...]:
        """All that it rests on, each after its own parents, and last the run itself."""
        before = (run for parent in self.parents for run in parent.ancestors)
        return (*dict.fromkeys(before), self)

    @property
    def members(self) -> tuple["Run", ...]:
        """The recipes' runs among them; a recipe's run itself."""
        return tuple(run for run in self.ancestors if not run.parents)

    @property
    def representation(self) -> str | None:
        """What names the representation that it learns, below its category; None without one."""
        recipe = self.recipe
        if not isinstance(recipe, Recipe) or recipe.learned is None:
            return None
        made_of = f"{recipe.method} {recipe.train_extraction.key} {recipe.learned.key}"
        return f"{hashlib.sha256(made_of.encode()).hexdigest()[:12]}/{self.seed}"


def runs_of(suite: Suite, experiment: str) -> list[Run]:
    """Return the unique runs behind a table or a figure, each after those that it rests on."""
    if experiment in suite.experiments.tables:
        asked = [
            (place, recipe)
            for cell in cells(suite, experiment)
            for recipe in (cell.recipe, cell.minus)
            if recipe
            for place in cell.places
        ]
    else:
        asked = [(place, recipe) for _, place, recipe in panels(suite, experiment)]
    found = [
        Run(place.dataset, place.category, recipe, seed)
        for place, recipe in asked
        for seed in suite.seeds_of(experiment)
    ]
    return list(dict.fromkeys(run for last in found for run in last.ancestors))


@dataclass(frozen=True)
class Batch:
    """What one process measures: the runs of a category that belong to an experiment.

    Attributes:
        experiment: the table or figure.
        dataset: the data set's id.
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
    def modules(self) -> tuple[str, ...]:
        """The modules that compute its runs' numbers."""
        found = set()
        for run in self.runs:
            if isinstance(run.recipe, Recipe):
                method = METHODS[run.recipe.method]
                found |= {method.__module__} | ({method.learner} if method.learner else set())
            else:
                found |= set(STEPS["fuse"])
            if isinstance(run.recipe, Refined):
                found |= {*STEPS["train refinement"], *STEPS["refine"]}
        return tuple(sorted(found | {*STEPS["diagnose"], *STEPS["evaluate"]}))

    @property
    def simulates_textures(self) -> bool:
        """Whether some of its runs simulate defects that are filled with textures."""
        return any(
            isinstance(run.recipe, Refined) and run.recipe.refinement.anomaly == "texture"
            for run in self.runs
        )

    @property
    def extractions(self) -> tuple[ExtractionSettings, ...]:
        """The patch features that it reads."""
        recipes = [member.recipe for run in self.runs for member in run.members]
        return tuple(
            dict.fromkeys(
                extraction
                for recipe in recipes
                if isinstance(recipe, Recipe)
                for extraction in (recipe.train_extraction, recipe.test_extraction)
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
            after = {owner[before] for run in runs for before in run.ancestors}
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
    return sorted({e.features.backbone for batch in batches(suite) for e in batch.extractions})


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
            a_seed = sum(len(c.places) * (1 + bool(c.minus)) for c in measured)
            of_cells = a_seed * len(suite.seeds_of(name))
        all_cells += of_cells
        lines.append(f"{name:<14}{shown:>7}{of_cells or '':>12}{len(runs):>8}{len(runs - seen):>8}")
        seen |= runs
    lines.append(f"{'in all':<14}{'':>7}{all_cells:>12}{'':>8}{len(seen):>8}")
    return f"Suite {suite.name}: runs behind its tables and figures\n" + "\n".join(lines)
