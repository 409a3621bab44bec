"""A suite: which data sets, models and seeds, read from one YAML file.

Nothing in the code asks which suite it is; ``demo`` and ``paper`` differ by their files alone.
"""

from collections.abc import Container, Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from reconpatch.datasets.category import Kind
from reconpatch.datasets.mvtec_layout import find_categories
from reconpatch.datasets.source import Source, kind_in
from reconpatch.fetching.catalogue import Dataset, check_licence, load_catalogue
from reconpatch.fetching.inventory import is_absent
from reconpatch.methods.registry import METHODS
from reconpatch.settings.base import FolderName, Seed, Settings, readable
from reconpatch.settings.composed import AnyRecipe, Ensemble, Refined
from reconpatch.settings.features import FeatureSettings
from reconpatch.settings.recipe import Recipe
from reconpatch.settings.refinement import RefinementSettings
from reconpatch.settings.yaml_files import read_yaml
from reconpatch.suites.experiments import (
    Changes,
    Deviation,
    Entry,
    Experiment,
    Experiments,
    Figure,
    Method,
    changed,
    load_experiments,
)
from reconpatch.utils.errors import InputError

NO_DOWNLOAD = "A suite that needs no download:\n  snakemake --cores all --config suite=demo"


class SuiteDataset(Settings):
    """Categories of one source, in the place of one of the paper's data sets.

    ``found`` means every category folder under its root, and none where the root is missing and
    the data set is ``optional``; where it will be fetched, all that it has.
    """

    stands_for: str = "MVTec AD"
    source: Source
    categories: Literal["found"] | Annotated[tuple[FolderName, ...], Field(min_length=1)]
    optional: bool = False

    @field_validator("categories")
    @classmethod
    def _named_once(cls, categories: tuple[str, ...] | str) -> tuple[str, ...] | str:
        if len(set(categories)) < len(categories) and categories != "found":
            raise ValueError(f"a category of {list(categories)} stands there twice")
        return categories

    @property
    def id(self) -> str:
        """The folder name of this source's results: other roots or splits, another name."""
        return f"{self.source.dataset}-{self.source.key[:6]}"

    @property
    def here(self) -> bool:
        """Whether its root is there, or needs not be."""
        return not self.optional or (self.source.root is not None and self.source.root.is_dir())


class Model(Settings):
    """What stands for one of the paper's models: changes of the recipe, several for an ensemble."""

    label: str
    members: Annotated[tuple[Changes, ...], Field(min_length=1)] = ({},)
    deviation: Deviation = "median"


class Place(Settings):
    """A category of a suite.

    Attributes:
        dataset: its data set's id.
        name: what tables call it: the category, with its data set where several have one.
        kind: object or texture, where that is known.
    """

    dataset: str
    category: str
    name: str
    kind: Kind | None


class Suite(Settings):
    """Everything that a suite's file says.

    Attributes:
        recipe: what all recipes start from.
        refinement: what all refinements start from.
        methods: what a method changes in it; a list of names changes nothing. A method that is
            named here has a column in the tables that show every method.
        models: what stands for the paper's models.
        grids: the rows, columns or categories of a table or a figure that the suite takes; all of a
            side of which it says nothing.
        more_seeds: the seeds of tables that take more than the others; the suite's come first.
        extra_datasets: data sets that it takes images from besides its categories, and where they
            lie; they are fetched where they are not there.
    """

    name: str
    title: str
    datasets: Annotated[tuple[SuiteDataset, ...], Field(min_length=1)]
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1, max_length=1000)]
    keep_features: bool
    recipe: Changes = Field(default_factory=dict)
    refinement: Changes = Field(default_factory=dict)
    methods: dict[Method, Changes] = Field(default_factory=dict)
    models: Annotated[dict[str, Model], Field(min_length=1)]
    grids: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    more_seeds: dict[str, tuple[Seed, ...]] = Field(default_factory=dict)
    extra_datasets: dict[str, Path] = Field(default_factory=dict)
    experiments: Experiments

    @field_validator("methods", mode="before")
    @classmethod
    def _named(cls, methods: object) -> object:
        return {name: {} for name in methods} if isinstance(methods, list) else methods

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"seeds {list(seeds)} must be distinct")
        return seeds

    @model_validator(mode="after")
    def _check_more_seeds(self) -> Self:
        for name, seeds in self.more_seeds.items():
            if name not in self.experiments.tables:
                known = ", ".join(self.experiments.tables)
                raise ValueError(f"more_seeds: there is no table {name!r}; there are {known}")
            self._distinct(seeds)
            if seeds[: len(self.seeds)] != self.seeds:
                raise ValueError(
                    f"more_seeds: {name} must begin with the suite's own seeds {list(self.seeds)}"
                )
        return self

    @model_validator(mode="after")
    def _check_grids(self) -> Self:
        for name, names in self.grids.items():
            known_names = self._known_in(name)
            if unknown := [entry for entry in names if entry not in known_names]:
                raise ValueError(
                    f"grids: {name} has no row, column or category {unknown[0]!r}; it has "
                    f"{known_names}"
                )
        return self

    def _known_in(self, name: str) -> list[str]:
        """What a table's or a figure's grid may name."""
        experiment = self.experiments.tables.get(name) or self.experiments.figures.get(name)
        if experiment is None:
            known = ", ".join((*self.experiments.tables, *self.experiments.figures))
            raise ValueError(f"grids: there is no table or figure {name!r}; there are {known}")
        if isinstance(experiment, Figure):
            found = [entry.name for entry in experiment.of]
        else:
            rows = () if experiment.rows == "categories" else experiment.rows
            found = [entry.name for entry in (*rows, *self.columns(experiment))]
        for dataset in self.datasets:
            if dataset.stands_for == experiment.stands_for and dataset.categories != "found":
                found += dataset.categories
        return found

    def columns(self, experiment: Experiment) -> tuple[Entry, ...]:
        """Return a table's columns, those of rivals only where their method is named here."""
        named = (rival for rival in experiment.rivals if rival.method in self.methods)
        return (*experiment.columns, *named)

    def seeds_of(self, name: str) -> tuple[int, ...]:
        """Return the seeds of a table, or of a figure: those of the table that it draws."""
        figure = self.experiments.figures.get(name)
        table = figure.table if figure and figure.table else name
        return self.more_seeds.get(table, self.seeds)

    def places(self, stands_for: str | None = None) -> Iterator[Place]:
        """Yield the categories, or those that stand for one of the paper's data sets.

        Raises:
            InputError: categories are to be found, and there are none.
        """
        found = []
        for dataset in self.datasets:
            if dataset.here:
                names = dataset.categories
                if names == "found":
                    assert dataset.source.root
                    names = tuple(find_categories(dataset.source.root))
                found += [(dataset, name) for name in names]
        named = [name for _, name in found]
        for dataset, name in found:
            if stands_for in (None, dataset.stands_for):
                shared = named.count(name) > 1
                yield Place(
                    dataset=dataset.id,
                    category=name,
                    name=f"{name} of {dataset.source.dataset}" if shared else name,
                    kind=kind_in(dataset.source, name),
                )

    def recipe_of(
        self,
        model: str,
        method: Method,
        *changes: Changes,
        deviation: Deviation | None = None,
    ) -> Recipe | Ensemble:
        """Return what a method with a model runs; several members make an ensemble.

        Changes are made in each member's recipe, in turn. ``deviation`` says how an ensemble's
        scores are scaled, if not as the model says.

        Raises:
            InputError: the changes make no recipe.
        """
        chosen = self.models[model]
        own = self.methods.get(method, {})
        try:
            members = [
                METHODS[method].Recipe.model_validate(
                    changed(_groups(self.recipe, method), own, _groups(member, method), *changes)
                )
                for member in chosen.members
            ]
            if len(members) == 1:
                return members[0]
            return Ensemble(members=tuple(members), deviation=deviation or chosen.deviation)
        except ValidationError as error:
            raise InputError(
                f"Suite {self.name}: {method} with model {model} is no recipe: {readable(error)}"
            ) from None

    def refined(self, recipe: Recipe | Ensemble, *changes: Changes | None) -> AnyRecipe:
        """Return a recipe as it is, or refined where there are changes of the refinement.

        Raises:
            InputError: the changes make no settings of a refinement.
        """
        chosen = [change for change in changes if change is not None]
        if not chosen:
            return recipe
        try:
            settings = RefinementSettings.model_validate(changed(self.refinement, *chosen))
            return Refined(of=recipe, refinement=settings)
        except ValidationError as error:
            raise InputError(
                f"Suite {self.name}: {chosen} makes no refinement: {readable(error)}"
            ) from None

    def simulated(self, category: str) -> tuple[Source, FeatureSettings, RefinementSettings]:
        """Return whose images of a category, and how they and their simulated defects look.

        Raises:
            InputError: the suite has no such category.
        """
        places = {place.category: place.dataset for place in self.places()}
        if category not in places:
            raise InputError(
                f"Suite {self.name} has no category {category}; it has {', '.join(places)}."
            )
        source = {dataset.id: dataset.source for dataset in self.datasets}[places[category]]
        refined = self.refined(self.recipe_of("single", "ReConPatch"), {})
        assert isinstance(refined, Refined)
        assert isinstance(refined.of, Recipe)
        return source, refined.of.features, refined.refinement

    def roots(self, catalogue: Container[str]) -> dict[str, Path]:
        """Return the data sets of its categories that can be fetched, and where they lie."""
        return {
            dataset.source.dataset: dataset.source.root
            for dataset in self.datasets
            if dataset.source.root and dataset.source.dataset in catalogue and dataset.here
        }

    def to_fetch(self, catalogue: Container[str]) -> dict[str, Path]:
        """Return the data sets that are not here and can be fetched, and where they belong."""
        roots = self.roots(catalogue) | self.extra_datasets
        return {name: root for name, root in roots.items() if is_absent(root)}

    def check_data(self, catalogue: dict[str, Dataset], accepted: Container[str]) -> None:
        """Make sure that all data sets stand where the suite looks for them, or can be fetched.

        ``accepted`` names those of the catalogue whose licence is accepted.

        Raises:
            InputError: some do not; the message names them and what runs without. Or two data sets
                have a category of one name.
        """
        absent = self.to_fetch(catalogue)
        for name, root in absent.items():
            if not (root.parent / catalogue[name].archive).is_file():
                try:
                    check_licence(catalogue[name], name in accepted, f"suite={self.name} ")
                except InputError as error:
                    raise InputError(
                        f"Suite {self.name} needs data that is not here: nothing lies in {root}.\n"
                        f"{error}\n"
                        f"Or put the unpacked folders into {root}, or {catalogue[name].archive} "
                        "beside it, or say where they lie with data_root=DIR (docs/data.md).\n"
                        + NO_DOWNLOAD
                    ) from None
        missing = [
            str(dataset.source.root / category)
            for dataset in self.datasets
            if dataset.source.layout == "mvtec"
            and dataset.categories != "found"
            and dataset.here
            and dataset.source.dataset not in absent
            for category in dataset.categories
            if dataset.source.root and not (dataset.source.root / category / "train").is_dir()
        ]
        if missing:
            raise InputError(
                f"Suite {self.name} needs data that is not here. No category folder (one that "
                "holds train/good, or BTAD's train/ok) at:\n  " + "\n  ".join(missing) + "\n"
                "Unpack what is missing there, or move what is there away and it is all fetched "
                "(docs/data.md), or say where it lies:\n"
                f"  snakemake --cores all --config suite={self.name} data_root=DIR\n{NO_DOWNLOAD}"
            )
        names = [place.name for place in self.places()]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(
                f"Suite {self.name} has the category {twice[0]} in two data sets of one name; a "
                "table's rows need distinct names. Give the data sets names of their own."
            )


def _groups(changes: Changes, method: Method) -> Changes:
    """What a method takes of changes that are meant for any: it leaves the others' groups out.

    What stands under a method's name is for that method alone.
    """
    fields = METHODS[method].Recipe.model_fields
    others = {name for other in METHODS.values() for name in other.Recipe.model_fields}
    common = {
        name: value
        for name, value in changes.items()
        if name not in METHODS and (name in fields or name not in others)
    }
    return changed(common, changes.get(method, {}))


def load_suite(path: Path, data_root: Path, config: Path) -> Suite:
    """Return the suite of a YAML file.

    ``{data_root}`` in a root stands for ``data_root``. ``experiments`` names the file of the tables
    and figures in ``config``, or several, the paper's where it says nothing.

    Raises:
        InputError: no such file, or it holds unknown names or impossible values.
    """
    if not path.is_file():
        known = sorted(other.stem for other in path.parent.glob("*.yaml"))
        if not known:
            raise InputError(
                f"There are no suites in {path.parent}: go to the folder that holds config/, or "
                "give another with --config."
            )
        raise InputError(f"There is no suite {path.stem}; there are: {', '.join(known)}.")
    content = read_yaml(path)
    try:
        catalogue = load_catalogue(config)
        for dataset in content["datasets"]:
            source = dataset["source"]
            if "root" in source:
                source["root"] = source["root"].replace("{data_root}", str(data_root))
                found = dataset["categories"] == "found" and not dataset.get("optional")
                if found and source["dataset"] in catalogue and is_absent(Path(source["root"])):
                    dataset["categories"] = catalogue[source["dataset"]].categories
        content["extra_datasets"] = {
            name: root.replace("{data_root}", str(data_root))
            for name, root in content.get("extra_datasets", {}).items()
        }
        if unknown := sorted(set(content["extra_datasets"]) - set(catalogue)):
            raise InputError(
                f"{path}: extra_datasets: there is no {unknown[0]}; there are: "
                f"{', '.join(catalogue)}. Others stand in {config / 'datasets'} (docs/data.md)."
            )
        chosen = content.pop("experiments", "experiments.yaml")
        names = [chosen] if isinstance(chosen, str) else chosen
        experiments = load_experiments(*(config / name for name in names))
        return Suite.model_validate({"name": path.stem, **content, "experiments": experiments})
    except ValidationError as error:
        raise InputError(f"{path} is not a suite: {readable(error)}") from None
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a suite: it lacks or misplaces {error}") from None
