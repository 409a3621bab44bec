"""What a suite asks for, counted: images, patches, steps, jobs.

The Snakefile counts images with this, so torch is imported in the functions that need it.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple

from reconpatch.datasets.category import Category
from reconpatch.datasets.images import list_images
from reconpatch.datasets.source import Source, load_category, published_in
from reconpatch.methods.method import Needs, Shape, Sizes
from reconpatch.methods.registry import METHODS
from reconpatch.settings.composed import Ensemble, Refined
from reconpatch.settings.features import ExtractionSettings, FeatureSettings
from reconpatch.settings.recipe import Recipe
from reconpatch.suites.cells import panels
from reconpatch.suites.runs import Batch, Run, batches, timed_runs
from reconpatch.suites.suite import Suite


@dataclass(frozen=True)
class Images:
    """How many images a category has, and what says so.

    That is ``inspect``'s list, the files themselves, or what is published.
    """

    train: int
    test: int
    has_masks: bool
    origin: Literal["inspected", "listed", "published"]


class Extraction(NamedTuple):
    """Patch features that runs share: what they are taken of, and how."""

    dataset: str
    category: str
    settings: ExtractionSettings


@dataclass(frozen=True)
class RunWork:
    """A recipe's run and the sizes that its cost depends on."""

    run: Run
    recipe: Recipe
    sizes: Sizes

    def needs(self, *, on_gpu: bool = False) -> Needs:
        """Return what its method says that it takes."""
        return METHODS[self.recipe.method].needs(self.recipe, self.sizes, on_gpu=on_gpu)

    @property
    def counter(self) -> Any:
        """The module that counts what its method takes on a GPU; None where it has none."""
        name = METHODS[self.recipe.method].counter
        return import_module(name) if name else None


@dataclass(frozen=True)
class Workload:
    """A suite, counted: its unique runs in batches, and what their cost depends on.

    Images are by data set (its id) and category, the patches of one by the settings of features.
    """

    suite: Suite
    batches: tuple[Batch, ...]
    images: dict[tuple[str, str], Images]
    patches: dict[FeatureSettings, tuple[int, int]]

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """The unique runs, ensembles among them."""
        return tuple(run for batch in self.batches for run in batch.runs)

    @cached_property
    def works(self) -> tuple[RunWork, ...]:
        """The unique runs of recipes: each scores its test images once."""
        return tuple(self.work(run) for run in self.runs if isinstance(run.recipe, Recipe))

    @cached_property
    def ensembles(self) -> tuple[Run, ...]:
        """The unique runs of ensembles."""
        return tuple(run for run in self.runs if isinstance(run.recipe, Ensemble))

    @cached_property
    def members(self) -> tuple[RunWork, ...]:
        """The runs that ensembles fuse or that are refined: each scores its training images."""
        on_them = (run for run in self.runs if run.parents)
        found = dict.fromkeys(member for run in on_them for member in run.members)
        return tuple(self.work(run) for run in found)

    @cached_property
    def refinements(self) -> tuple[Run, ...]:
        """The unique runs that are refined."""
        return tuple(run for run in self.runs if isinstance(run.recipe, Refined))

    @cached_property
    def learned(self) -> tuple[RunWork, ...]:
        """A run for each unique representation that is learned."""
        found = {
            (work.run.dataset, work.run.category, work.run.representation): work
            for work in self.works
            if work.run.representation
        }
        return tuple(found.values())

    @cached_property
    def figures(self) -> tuple[str, ...]:
        """The figures that draw something."""
        return tuple(name for name in self.suite.experiments.figures if panels(self.suite, name))

    @cached_property
    def extractions(self) -> tuple[Extraction, ...]:
        """What is extracted: once for all runs that share it."""
        return tuple(
            dict.fromkeys(
                Extraction(batch.dataset, batch.category, settings)
                for batch in self.batches
                for settings in batch.extractions
            )
        )

    @cached_property
    def jobs(self) -> dict[str, int]:
        """Snakemake's jobs a rule, with no results there yet; a rule without jobs is left out."""
        counts = {
            "demo": any(dataset.source.layout == "demo" for dataset in self.suite.datasets),
            "inspect": len(self.images),
            "extract": len(self.extractions),
            "measure": len(self.batches),
            "time_inference": bool(timed_runs(self.suite)),
            "figure": len(self.figures),
            "report": 1,
        }
        return {rule: int(count) for rule, count in counts.items() if count}

    def work(self, run: Run) -> RunWork:
        """Return a recipe's run with its sizes."""
        assert isinstance(run.recipe, Recipe)
        images = self.images[run.dataset, run.category]
        features = run.recipe.test_extraction.features
        shapes = layer_shapes(features) if run.recipe.reads == "layer maps" else ()
        sizes = Sizes(images.train, images.test, *self.patches[features], shapes)
        return RunWork(run, run.recipe, sizes)


def count_work(suite: Suite, results: Path) -> Workload:
    """Count what a suite asks for; what ``inspect`` left among the results is believed.

    Raises:
        InputError: a category's images are neither here nor published, or a backbone cannot give
            the maps it is asked for.
    """
    found = tuple(batches(suite))
    sources = {dataset.id: dataset.source for dataset in suite.datasets}
    images = {
        (dataset, name): count_images(
            sources[dataset], name, results / "data" / dataset / name / "category.json"
        )
        for dataset, name in dict.fromkeys((batch.dataset, batch.category) for batch in found)
    }
    settings = dict.fromkeys(patches.features for batch in found for patches in batch.extractions)
    return Workload(suite, found, images, {each: patches_of(each) for each in settings})


def count_images(source: Source, name: str, inspected: Path) -> Images:
    """Count a category's images, by what ``inspect`` listed, the files, or what is published.

    Files are listed, not read: that they are whole is for ``inspect`` to say.

    Raises:
        InputError: the images are not here, and how many there are is not published.
    """
    if inspected.is_file():
        return _counted(Category.read(inspected), "inspected")
    folder = source.root / name if source.root else None
    if folder and (normal := folder / "train" / "good").is_dir():
        return Images(
            train=len(list_images(normal)),
            test=sum(len(list_images(part)) for part in (folder / "test").glob("*/")),
            has_masks=(folder / "ground_truth").is_dir(),
            origin="listed",
        )
    if published := published_in(source, name):
        test = published.test_good + published.test_defective
        return Images(published.train, test, has_masks=True, origin="published")
    return _counted(load_category(source, name), "listed")


def _counted(category: Category, origin: Literal["inspected", "listed"]) -> Images:
    return Images(len(category.train), len(category.test), category.has_masks, origin)


@cache
def layer_shapes(settings: FeatureSettings) -> tuple[Shape, ...]:
    """Return ``(C, h, w)`` of the layers' maps of an image, finest first.

    Raises:
        InputError: the backbone cannot give the maps that it is asked for.
    """
    import torch

    from reconpatch.planning.untrained import untrained_backbone

    # The image's size does not change the backbone.
    network = untrained_backbone(
        FeatureSettings(backbone=settings.backbone, layers=settings.layers)
    )
    with torch.inference_mode():
        maps = network(torch.empty(1, 3, settings.size, settings.size, device="meta"))
    return tuple((m.shape[1], m.shape[2], m.shape[3]) for m in maps)


def patches_of(settings: FeatureSettings) -> tuple[int, int]:
    """Return the number and dimension of an image's patches, as the real aggregation makes them.

    Raises:
        InputError: the backbone cannot give the maps that it is asked for.
    """
    import torch

    from reconpatch.features.aggregation import patch_features

    shapes = layer_shapes(settings)
    places = shapes[0][1] * shapes[0][2]
    if settings.aggregation == "none":
        # All maps of a place of the finest, on the mean.
        return places, sum(c * h * w for c, h, w in shapes) // places
    with torch.inference_mode():
        maps = [torch.empty(1, *shape, device="meta") for shape in shapes]
        return places, patch_features(maps, settings).shape[-1]
