"""A suite: which data sets, recipes and seeds, read from one YAML file.

Nothing in the code asks which suite it is; ``demo`` and ``paper`` differ by their files alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from reconpatch.datasets import Source, find_categories
from reconpatch.errors import InputError
from reconpatch.recipe import Recipe
from reconpatch.settings import Settings, readable

Metric = Literal["image_auroc", "pixel_auroc"]


class SuiteDataset(Settings):
    """Categories of one source; ``found`` means every category folder under its root."""

    source: Source
    categories: Literal["found"] | Annotated[tuple[str, ...], Field(min_length=1)]

    @property
    def id(self) -> str:
        """The folder name of this source's results: other roots or splits, another name."""
        return f"{self.source.dataset}-{self.source.key[:6]}"


class Column(Settings):
    """A table's column: a recipe, the metrics it answers for, and its name in the paper's table.

    Two columns of one name fill one column between them, as where the paper takes image figures
    from one setting and pixel figures from another.
    """

    name: str
    published: str | None = None
    metrics: Annotated[tuple[Metric, ...], Field(min_length=1)] = ("image_auroc", "pixel_auroc")
    recipe: Recipe


@dataclass(frozen=True)
class Run:
    """A recipe on a category with a seed."""

    dataset: str
    category: str
    recipe: Recipe
    seed: int

    @property
    def id(self) -> str:
        """Where its results lie below ``results/runs``."""
        return f"{self.dataset}/{self.category}/{self.recipe.key}/{self.seed}"


class Suite(Settings):
    """Everything that a suite's file says."""

    name: str
    title: str
    datasets: Annotated[tuple[SuiteDataset, ...], Field(min_length=1)]
    seeds: Annotated[tuple[int, ...], Field(min_length=1)]
    keep_features: bool
    table5: Annotated[tuple[Column, ...], Field(min_length=1)]

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds) or min(seeds) < 0:
            raise ValueError(f"seeds {list(seeds)} must be distinct and not negative")
        return seeds

    @model_validator(mode="after")
    def _one_recipe_a_cell(self) -> Self:
        cells = [(column.name, metric) for column in self.table5 for metric in column.metrics]
        if twice := sorted({cell for cell in cells if cells.count(cell) > 1}):
            raise ValueError(f"table5 fills {twice[0]} twice; give each metric of a column once")
        return self

    def categories(self) -> Iterator[tuple[SuiteDataset, str]]:
        """Yield each data set with each of its categories.

        Raises:
            InputError: categories are to be found, and there are none.
        """
        for dataset in self.datasets:
            names = dataset.categories
            if names == "found":
                assert dataset.source.root
                names = tuple(find_categories(dataset.source.root))
            for name in names:
                yield dataset, name

    def runs(self) -> list[Run]:
        """Return the suite's unique runs; columns that ask for the same share one."""
        runs = {
            run.id: run
            for dataset, category in self.categories()
            for column in self.table5
            for seed in self.seeds
            for run in [Run(dataset.id, category, column.recipe, seed)]
        }
        return list(runs.values())

    def check_data(self) -> None:
        """Make sure that the folders of all data sets stand where the suite looks for them.

        Raises:
            InputError: some do not; the message names them and what runs without. Or two data sets
                have a category of one name.
        """
        missing = [
            str(dataset.source.root / category)
            for dataset in self.datasets
            if dataset.source.layout == "mvtec" and dataset.categories != "found"
            for category in dataset.categories
            if dataset.source.root and not (dataset.source.root / category / "train/good").is_dir()
        ]
        if missing:
            raise InputError(
                f"Suite {self.name} needs data that is not here. No category folder (one that "
                "holds train/good) at:\n  " + "\n  ".join(missing) + "\n"
                "Unpack the data set there (docs/data.md says where to get it), or say where it "
                "lies:\n"
                f"  snakemake --cores all --config suite={self.name} data_root=DIR\n"
                "A suite that needs no download:\n"
                "  snakemake --cores all --config suite=demo"
            )
        names = [category for _, category in self.categories()]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(
                f"Suite {self.name} has the category {twice[0]} in two data sets; a table's rows "
                "need distinct names. Rename a folder, or split the suite."
            )


def load_suite(path: Path, data_root: Path) -> Suite:
    """Return the suite of a YAML file.

    ``recipe`` at the top is what all columns' recipes start from; a column's own ``recipe`` says
    what it changes, and ``representation: null`` makes it PatchCore. ``{data_root}`` in a root
    stands for ``data_root``.

    Raises:
        InputError: no such file, or it holds unknown names or impossible values.
    """
    if not path.is_file():
        known = sorted(other.stem for other in path.parent.glob("*.yaml"))
        raise InputError(f"There is no suite {path.stem}; there are: {', '.join(known)}.")
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {error}") from None
    try:
        base = content.pop("recipe", {})
        for column in content["table5"]:
            column["recipe"] = _merge(base, column.get("recipe", {}))
        for dataset in content["datasets"]:
            source = dataset["source"]
            if "root" in source:
                source["root"] = source["root"].format(data_root=data_root)
        return Suite.model_validate({"name": path.stem, **content})
    except ValidationError as error:
        raise InputError(f"{path} is not a suite: {readable(error)}") from None
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a suite: it lacks or misplaces {error}") from None


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in changes.items():
        both = isinstance(value, dict) and isinstance(base.get(name), dict)
        merged[name] = _merge(base[name], value) if both else value
    return merged
