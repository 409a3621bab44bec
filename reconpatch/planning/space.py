"""What a suite's files and jobs take, in bytes. The formulas are tested against real files."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from reconpatch.detection.coreset import coreset_memory
from reconpatch.evaluation.evaluate import REPLICATES
from reconpatch.planning.workload import Extraction, Images, RunWork, Workload
from reconpatch.settings import FeatureSettings

FLOAT, DOUBLE, INDEX = 4, 8, 8


def feature_bytes(workload: Workload, extraction: Extraction) -> dict[str, int]:
    """``4 h w D`` bytes an image (as float16 half), and ``crop^2`` a test image for masks."""
    images = workload.images[extraction.dataset, extraction.category]
    features = extraction.settings.features
    patches = workload.patches[features]
    count = images.test + (images.train if "train" in extraction.settings.splits else 0)
    return {
        "patch features": count * _stored(features) * patches.an_image * patches.dimension,
        "masks": images.test * features.crop**2,
    }


def kept_bytes(workload: Workload) -> Counter[str]:
    """Return what all runs leave. Tables and JSON, a few kilobytes a run, are left out."""
    kinds: Counter[str] = Counter()
    for work in workload.trainings:
        kinds["representations"] += representation_bytes(work)
    for work in workload.works:
        kinds.update(run_bytes(work))
    for work in workload.members:
        kinds["training scores"] += training_score_bytes(work)
    for run in workload.runs:
        kinds["replicates"] += replicate_bytes(workload.images[run.dataset, run.category])
    return kinds


def representation_bytes(work: RunWork) -> int:
    """``4 ((1 + s) (D + 1) d + (d + 1) p)`` for f and g, and s copies of f along the training."""
    if not (settings := work.recipe.trained):
        return 0
    f = (work.patches.dimension + 1) * settings.dimension
    g = (settings.dimension + 1) * (settings.projection_dimension or 0)
    return FLOAT * ((1 + work.snapshots) * f + g)


def run_bytes(work: RunWork) -> dict[str, int]:
    """``M (4 d + 8)`` for the memory bank, ``4 Q`` for the patch scores.

    Scores count as they are before compression, which spares about a tenth.
    """
    return {
        "memory banks": work.bank * (FLOAT * work.dimension + INDEX),
        "patch scores": FLOAT * work.test_patches,
    }


def training_score_bytes(work: RunWork) -> int:
    """``4 N`` for the patch scores of an ensemble's member, before compression."""
    return FLOAT * work.train_patches


def replicate_bytes(images: Images) -> int:
    """``8 * 1000`` for each metric that has them: image AUROC, d', and with masks pixel AUROC."""
    return DOUBLE * REPLICATES * (2 + images.has_masks)


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
    """Return what a run holds at its peak, which is in its detection.

    Beside the mapped features that is what the coreset takes first (``coreset_memory``), after it
    the memory bank and FAISS's copy of it, ``8 d M``, with the test vectors, ``4 d Q``; all the
    time the training vectors, ``4 d N``. PatchCore's are the mapped ones themselves, unless they
    must be pooled, widened or copied to a GPU.
    """
    features = work.recipe.features
    patches = work.train_patches + work.test_patches
    mapped = _stored(features) * work.patches.dimension * patches
    coreset = coreset_memory(work.train_patches, work.dimension)
    vector = FLOAT * work.dimension
    bank = 2 * vector * work.bank
    as_stored = features.stored_as == "float32" and work.recipe.representation.dimension is None
    if as_stored and not on_gpu:
        return Memory(mapped, max(coreset, bank))
    return Memory(
        mapped,
        vector * work.train_patches + max(coreset, bank + vector * work.test_patches),
    )


def _stored(settings: FeatureSettings) -> int:
    """Bytes of a number of the patch features on disk."""
    return np.dtype(settings.stored_as).itemsize
