"""What a suite's files and jobs take, in bytes. The formulas are tested against real files."""

from typing import NamedTuple

import numpy as np

from reconpatch.planning.workload import Extraction, Workload
from reconpatch.recipe import FeatureSettings
from reconpatch.suite import Run

FLOAT, INDEX = 4, 8

CONTENDERS, BLOCK = 2048, 4096
"""Of the greedy coreset: m, and the rows whose distances to new centres are taken at once."""


def feature_bytes(workload: Workload, extraction: Extraction) -> dict[str, int]:
    """``4 h w D`` bytes an image (as float16 half), and ``crop^2`` a test image for masks."""
    images = workload.images[extraction.dataset, extraction.category]
    patches = workload.patches[extraction.settings]
    vectors = _stored(extraction.settings) * patches.an_image * patches.dimension
    return {
        "patch features": (images.train + images.test) * vectors,
        "masks": images.test * extraction.settings.crop**2,
    }


def run_bytes(workload: Workload, run: Run) -> dict[str, int]:
    """``4 ((D + 1) d + (d + 1) p)`` for f and g, ``M (4 d + 8)`` for the bank, ``4 Q`` for scores.

    Patch scores count as they are before compression, which spares about a tenth. Tables and JSON,
    a few kilobytes a run, are left out.
    """
    work = workload.work(run)
    network = 0
    if settings := run.recipe.representation:
        network = (work.patch_dimension + 1) * settings.dimension
        network += (settings.dimension + 1) * (settings.projection_dimension or 0)
    return {
        "representations": FLOAT * network,
        "memory banks": work.bank * (FLOAT * work.dimension + INDEX),
        "patch scores": FLOAT * work.test_patches,
    }


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


def peak_memory(workload: Workload, run: Run, *, on_gpu: bool) -> Memory:
    """Return what a run's largest job, its detection, holds at its peak.

    Beside the mapped features that is the coreset's matrices first (``8 N`` bytes of norms and
    bounds, ``4 m (m + d)`` for m contenders, ``4 * 4096 m`` for one block of distances), and the
    test vectors, ``4 d Q``, after it; all the time the training vectors, ``4 d N``. PatchCore
    needs no vectors beside the mapped ones, unless these must be copied to a GPU or widened.
    """
    work = workload.work(run)
    settings = run.recipe.features
    mapped = _stored(settings) * work.patch_dimension * (work.train_patches + work.test_patches)
    m = min(CONTENDERS, work.train_patches)
    coreset = 8 * work.train_patches + FLOAT * m * (m + work.dimension + BLOCK)
    if not run.recipe.representation and settings.stored_as == "float32" and not on_gpu:
        return Memory(mapped, coreset)
    train = FLOAT * work.dimension * work.train_patches
    test = FLOAT * work.dimension * work.test_patches
    return Memory(mapped, train + max(coreset, test))


def _stored(settings: FeatureSettings) -> int:
    """Bytes of a number of the patch features on disk."""
    return np.dtype(settings.stored_as).itemsize
