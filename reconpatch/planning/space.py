"""What a suite's files and jobs take, in bytes. The formulas are tested against real files."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from reconpatch.evaluation.evaluate import PIXEL_METRICS, REPLICATES
from reconpatch.methods.registry import METHODS
from reconpatch.planning.workload import Extraction, RunWork, Workload
from reconpatch.settings.composed import Refined
from reconpatch.settings.features import FeatureSettings
from reconpatch.settings.recipe import Recipe
from reconpatch.suites.runs import Run

FLOAT, DOUBLE = 4, 8


def feature_bytes(workload: Workload, extraction: Extraction) -> dict[str, int]:
    """``4 h w D`` bytes an image (as float16 half), and ``size^2`` a test image for masks."""
    images = workload.images[extraction.dataset, extraction.category]
    features = extraction.settings.features
    places, dimension = workload.patches[features]
    count = images.test + (images.train if "train" in extraction.settings.splits else 0)
    return {
        "patch features": count * _stored(features) * places * dimension,
        "masks": images.test * features.size**2,
    }


def kept_bytes(workload: Workload) -> Counter[str]:
    """Return what all runs leave. Tables and JSON, a few kilobytes a run, are left out.

    Scores count as they are before compression, which spares about a tenth.
    """
    kinds: Counter[str] = Counter()
    for work in workload.learned:
        kinds["representations"] += work.needs().learned_bytes
    for work in workload.works:
        kinds["models"] += work.needs().model_bytes
        # A training's are kept along it.
        times = max(1, len(METHODS[work.recipe.method].scored_epochs(work.recipe)))
        kinds["patch scores"] += times * FLOAT * work.sizes.test_patches
    for work in workload.members:
        kinds["training scores"] += FLOAT * work.sizes.train_patches
    for run in workload.runs:
        # Of the three image metrics and d', and with masks of the pixel metrics.
        masks = workload.images[run.dataset, run.category].has_masks
        metrics = 4 + len(PIXEL_METRICS) * masks
        kinds["replicates"] += DOUBLE * REPLICATES * metrics
    return kinds


def pool_bytes(workload: Workload, run: Run) -> int:
    """Return what a refined run's simulated images take while its network is trained.

    A pixel of a version has three bytes of colour, one of its mask, and four of its score map.
    """
    member, refined = run.members[0].recipe, run.recipe
    assert isinstance(member, Recipe)
    assert isinstance(refined, Refined)
    images = workload.images[run.dataset, run.category].train * (refined.refinement.pool + 1)
    return (3 + 1 + FLOAT) * images * member.features.size**2


class Memory(NamedTuple):
    """A job's peak beside the interpreter and its libraries, in bytes.

    Attributes:
        mapped: patch features mapped from disk; the system drops and rereads them at need.
        working: arrays that must be there, on the device.
    """

    mapped: int
    working: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.mapped + self.working


def peak_memory(work: RunWork, *, on_gpu: bool) -> Memory:
    """Return what a run holds at its peak: the mapped features, and its method's working memory."""
    features, sizes = work.recipe.features, work.sizes
    patches = sizes.train_patches + sizes.test_patches
    mapped = _stored(features) * sizes.dimension * patches
    return Memory(mapped, work.needs(on_gpu=on_gpu).working_bytes)


def _stored(settings: FeatureSettings) -> int:
    """Bytes of a number of the patch features on disk."""
    return np.dtype(settings.stored_as).itemsize
