"""What a suite asks for, counted: images, patches, steps, jobs. Nothing is measured here."""

from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from reconpatch.datasets import Category, Source, load_category, mvtec_ad
from reconpatch.datasets.demo.writer import DEFECTS, TEST_GOOD, TEST_PER_DEFECT, TRAIN
from reconpatch.datasets.images import list_images
from reconpatch.detection import coreset_size
from reconpatch.features import patch_features
from reconpatch.planning.untrained import untrained_backbone
from reconpatch.recipe import FeatureSettings
from reconpatch.suite import Run, Suite

EXAMPLES = 8


@dataclass(frozen=True)
class Images:
    """How many images a category has.

    Attributes:
        train: training images.
        test: test images, normal and anomalous.
        has_masks: whether the anomalous ones have masks.
        origin: what says so: ``inspect``'s list, the files themselves, or what is published.
        examples: a few training images, where there are some on this machine.
    """

    train: int
    test: int
    has_masks: bool
    origin: Literal["inspected", "listed", "published"]
    examples: tuple[Path, ...] = ()


class Patches(NamedTuple):
    """The patch features of one image: a grid of vectors."""

    height: int
    width: int
    dimension: int

    @property
    def an_image(self) -> int:
        """How many they are."""
        return self.height * self.width


class Extraction(NamedTuple):
    """Features that runs share: what they are taken of, and how."""

    dataset: str
    category: str
    settings: FeatureSettings


@dataclass(frozen=True)
class Workload:
    """A suite, counted.

    Attributes:
        suite: what is counted.
        runs: its unique runs.
        images: the images of each data set's (by its id) categories.
        patches: the patches of an image under each feature setting.
    """

    suite: Suite
    runs: tuple[Run, ...]
    images: dict[tuple[str, str], Images]
    patches: dict[FeatureSettings, Patches]

    @cached_property
    def extractions(self) -> tuple[Extraction, ...]:
        """What is extracted: once for all runs that share it."""
        asked = (Extraction(run.dataset, run.category, run.recipe.features) for run in self.runs)
        return tuple(dict.fromkeys(asked))

    @cached_property
    def jobs(self) -> dict[str, int]:
        """Snakemake's jobs a rule, with no results there yet; a rule without jobs is left out."""
        runs = len(self.runs)
        counts = {
            "demo": any(dataset.source.layout == "demo" for dataset in self.suite.datasets),
            "inspect": len(self.images),
            "extract": len(self.extractions),
            "train": sum(run.recipe.representation is not None for run in self.runs),
            "detect": runs,
            "evaluate": runs,
            "report": 1,
        }
        return {rule: int(count) for rule, count in counts.items() if count}

    def work(self, run: Run) -> "RunWork":
        """Return the sizes that a run's cost depends on."""
        images = self.images[run.dataset, run.category]
        patches = self.patches[run.recipe.features]
        train = images.train * patches.an_image
        steps, dimension = 0, patches.dimension
        if settings := run.recipe.representation:
            steps = settings.epochs * (train // settings.batch_size)
            dimension = settings.dimension
        return RunWork(
            train_patches=train,
            test_patches=images.test * patches.an_image,
            patch_dimension=patches.dimension,
            dimension=dimension,
            bank=coreset_size(train, run.recipe.detection.coreset_share),
            steps=steps,
            maps=images.test if images.has_masks else 0,
        )


@dataclass(frozen=True)
class RunWork:
    """The sizes that a run's cost depends on.

    Attributes:
        train_patches: N.
        test_patches: Q.
        patch_dimension: D, of the patch features.
        dimension: d, of what detection works on: f's, or D for PatchCore.
        bank: M, the coreset's size.
        steps: mini-batches of the training; 0 for PatchCore.
        maps: anomaly maps that a pixel AUROC is taken of; 0 without masks.
    """

    train_patches: int
    test_patches: int
    patch_dimension: int
    dimension: int
    bank: int
    steps: int
    maps: int


def count_work(suite: Suite, results: Path) -> Workload:
    """Count what a suite asks for.

    Args:
        suite: what to count.
        results: the folder of all results; what ``inspect`` left there is believed.

    Raises:
        InputError: a category's images are neither here nor published, or a backbone cannot give
            the maps it is asked for.
    """
    runs = tuple(suite.runs())
    images = {
        (dataset.id, name): count_images(
            dataset.source, name, results / "data" / dataset.id / name / "category.json"
        )
        for dataset, name in suite.categories()
    }
    settings = dict.fromkeys(run.recipe.features for run in runs)
    return Workload(suite, runs, images, {each: patches_of(each) for each in settings})


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
        train = list_images(normal)
        return Images(
            train=len(train),
            test=sum(len(list_images(part)) for part in (folder / "test").glob("*/")),
            has_masks=(folder / "ground_truth").is_dir(),
            origin="listed",
            examples=tuple(train[:EXAMPLES]),
        )
    if source.layout == "demo" and name in DEFECTS:
        test = TEST_GOOD + TEST_PER_DEFECT * len(DEFECTS[name])
        return Images(TRAIN, test, has_masks=True, origin="published")
    if source.dataset == "mvtec" and (official := mvtec_ad().get(name)):
        test = official.test_good + official.test_defective
        return Images(official.train, test, has_masks=True, origin="published")
    return _counted(load_category(source, name), "listed")


def _counted(category: Category, origin: Literal["inspected", "listed"]) -> Images:
    found = (sample.image for sample in category.train if sample.image.is_file())
    return Images(
        len(category.train),
        len(category.test),
        category.has_masks,
        origin,
        tuple(islice(found, EXAMPLES)),
    )


@torch.inference_mode()
def patches_of(settings: FeatureSettings) -> Patches:
    """Return an image's patches: the shape that the real aggregation makes of the real maps.

    Raises:
        InputError: the backbone cannot give the maps that it is asked for.
    """
    meta = torch.device("meta")
    backbone = untrained_backbone(settings, meta)
    maps = backbone.network(torch.empty(1, 3, settings.crop, settings.crop, device=meta))
    return Patches(*patch_features(maps, settings).shape[1:])
