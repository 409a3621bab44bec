"""What a job takes at most, as cluster schedulers ask: from numbers of images, without torch.

The plan's exact bytes need torch, to know the shape of a backbone's maps; the Snakefile is read
without. These estimates lie above them, and are given again for each new attempt at a job.
"""

from math import ceil
from typing import NamedTuple

from reconpatch.methods.by_epochs import EpochRecipe
from reconpatch.methods.trained import TrainedRecipe
from reconpatch.planning.workload import Images
from reconpatch.settings.composed import Refined
from reconpatch.settings.features import ExtractionSettings, FeatureSettings
from reconpatch.settings.recipe import Recipe
from reconpatch.settings.representation import RepresentationSettings
from reconpatch.suites.runs import Batch, Run

CHANNELS = 64
"""A residual network's map of stride s has ``64 s`` channels; a DenseNet's has up to ``112 s``."""

PROCESS_MB = 4000
"""Python, its libraries, and a backbone at work take 2,200 MB on a CPU; CUDA adds its own."""

EXTRACTION_SECONDS = 2
"""An image of 224 x 224 pixels, decoded and through the backbone on a CPU."""

RUN_SECONDS = {"cpu": 5, "gpu": 1}
"""A run's coreset, scores and metrics, for each image of 224 x 224 pixels."""

STEP_SECONDS = {"cpu": 1.5, "gpu": 0.02}
"""A training step on 1,024 patches of 1,536 dimensions, or on 16 simulated images of 224 pixels."""

TRAINED_STEP_SECONDS = {"cpu": 10, "gpu": 0.1}
"""A step of a method that trains by epochs, at WideResNet-50's widths and 224 pixels."""

TRAINED_MB = 250
"""What such a step takes for each image of its mini-batch, and a sixteenth of its weights."""

PNI_IMAGES = 32
"""Of as many images is what PNI's network takes, with the patches that surround a mini-batch's."""

PATCHES = 784
"""Of an image of 224 x 224 pixels at stride 8."""


class Resources(NamedTuple):
    """Estimates under the names that Snakemake has for them.

    Attributes:
        mem_mb: memory in MB.
        runtime: minutes.
        disk_mb: what the job leaves, and what it needs meanwhile, in MB.
    """

    mem_mb: int
    runtime: int
    disk_mb: int


def inspection_resources(images: Images) -> Resources:
    """Return what a job of rule ``inspect`` takes, at ten images a second."""
    return Resources(1000, 10 + (images.train + images.test) // 600, 10)


def extraction_resources(settings: ExtractionSettings, images: Images) -> Resources:
    """Return what a job of rule ``extract`` takes; its memory does not grow with the images."""
    train = images.train if "train" in settings.splits else 0
    size = _features_mb(settings.features, images, train)
    seconds = EXTRACTION_SECONDS * _images_of_224(settings.features, train + images.test)
    return Resources(PROCESS_MB, 10 + ceil(seconds / 60), 2 * size)


def batch_resources(batch: Batch, images: Images, *, on_gpu: bool) -> Resources:
    """Return what a job of rule ``measure`` takes.

    A run holds its patch features, and once more the vectors that detection works on, or fewer. On
    disk it leaves its part of them, and a refined run meanwhile its simulated images.
    """
    features = [extraction.features for extraction in batch.extractions]
    largest = max(_features_mb(each, images, images.train) for each in features)
    count = max(_images_of_224(each, images.train + images.test) for each in features)
    where = "gpu" if on_gpu else "cpu"
    seconds = count * sum(RUN_SECONDS[where] + _training_seconds(run, where) for run in batch.runs)
    disk = 1000 + 2 * largest + max(_pool_mb(run, images, features) for run in batch.runs)
    memory = PROCESS_MB + 2 * largest + max(_training_mb(run) for run in batch.runs)
    return Resources(memory, 30 + ceil(seconds / 60), disk)


def _training_mb(run: Run) -> int:
    """What the training of networks by epochs takes."""
    if not isinstance(run.recipe, EpochRecipe):
        return 0
    in_images = isinstance(run.recipe, TrainedRecipe)
    images = max(16, run.recipe.batch_size) if in_images else PNI_IMAGES
    return ceil(TRAINED_MB * _images_of_224(run.recipe.features, images))


def _pool_mb(run: Run, images: Images, features: list[FeatureSettings]) -> int:
    """A refined run's simulated images: eight bytes a pixel for colours, mask and score map."""
    if not isinstance(run.recipe, Refined):
        return 0
    versions = images.train * (run.recipe.refinement.pool + 1)
    return ceil(8 * versions * max(each.size for each in features) ** 2 / 1e6)


def _features_mb(settings: FeatureSettings, images: Images, train: int) -> int:
    """Patch features in single precision, and the test images' masks."""
    strides: list[int] = [2 ** (layer + 1) for layer in settings.layers]
    places = [ceil(settings.size / stride) ** 2 for stride in strides]
    if settings.aggregation == "none":
        numbers = sum(CHANNELS * s * p for s, p in zip(strides, places, strict=True))
    else:
        numbers = max(places) * (settings.target_dimension or CHANNELS * sum(strides))
    size = (train + images.test) * numbers * 4 + images.test * settings.size**2
    return ceil(size / 1e6)


def _images_of_224(settings: FeatureSettings, count: int) -> float:
    """How many images of 224 x 224 pixels have as many pixels."""
    return count * (settings.size / 224) ** 2


def _training_seconds(run: Run, where: str) -> float:
    """A run's training, for each of its images of 224 x 224 pixels."""
    if isinstance(run.recipe, EpochRecipe):
        rows = 1 if isinstance(run.recipe, TrainedRecipe) else PATCHES
        return rows * TRAINED_STEP_SECONDS[where] * run.recipe.epochs / run.recipe.batch_size
    if isinstance(run.recipe, Refined):
        return STEP_SECONDS[where] * run.recipe.refinement.epochs / run.recipe.refinement.batch_size
    learned = run.recipe.learned if isinstance(run.recipe, Recipe) else None
    if isinstance(learned, RepresentationSettings):
        return STEP_SECONDS[where] * learned.epochs * PATCHES / learned.batch_size
    return 0
