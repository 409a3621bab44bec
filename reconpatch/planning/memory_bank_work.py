"""What memory banks take on a GPU: training of f and g, coreset, search, scores.

Matrix products and traffic of large arrays follow from sizes. Numbers of kernels are those of the
code's operations on a GPU without faiss-gpu, counted by hand and held by a test.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from math import ceil

import numpy as np
import torch

from reconpatch.detection.coreset import BLOCK as COMPARED
from reconpatch.detection.coreset import CONTENDERS, coreset_size
from reconpatch.detection.memory_bank import BLOCK as SEARCHED
from reconpatch.detection.memory_bank import SPARE
from reconpatch.detection.represent import ROWS
from reconpatch.methods.memory_bank import SCORED, MemoryBankRecipe
from reconpatch.methods.method import Sizes
from reconpatch.planning.counting import Work, counted, times
from reconpatch.planning.gpu_time import assumptions
from reconpatch.representation.networks import RepresentationNetwork
from reconpatch.representation.step import TrainingStep
from reconpatch.settings.representation import RepresentationSettings

FLOAT = 4
BATCH_KERNELS, BATCH_BLOCK_KERNELS = 30, 5
"""Of the coreset: a batch of centres, and each block of rows that it is compared with."""
SCORE_KERNELS, SCORE_BLOCK_KERNELS = 52, 26
"""Of the scores: a call, and each block of queries."""


def learning(recipe: MemoryBankRecipe, sizes: Sizes) -> Work:
    """Return the training of f and g: copy of the patches, and all steps, in a CUDA graph.

    A step has three launches beside the graph: a mini-batch is gathered, copied to where the graph
    reads it, and the graph is launched. Controls in closed form are not counted.
    """
    settings = recipe.learned
    if not isinstance(settings, RepresentationSettings):
        return Counter()
    steps = settings.epochs * (sizes.train_patches // settings.batch_size)
    # Neither changes a step; fewer different steps are counted sooner.
    alike = settings.model_copy(update={"epochs": 1, "learning_rate": 1.0})
    step = step_work(sizes.dimension, alike)
    batch = _stored(recipe) * settings.batch_size * sizes.dimension
    work = Counter(step)
    work["replays"] = work.pop("launches")
    work["launches"] = 3
    work["bytes"] += 4 * batch
    return times(work, steps) + Counter({"copied bytes": _mapped(recipe, sizes)})


@cache
def step_work(inputs: int, settings: RepresentationSettings) -> Work:
    """Return one training step's launches, FLOPs and bytes, as torch's device ``meta`` has them."""
    with torch.device("meta"):
        network = RepresentationNetwork(inputs, settings, seed=0)
    scaling = None
    if settings.input_scaling != "none":
        scaling = (torch.empty(inputs, device="meta"), torch.empty(inputs, device="meta"))
    step = TrainingStep(network, settings, [0.0], scaling, without_reads=True)
    batch = torch.empty(settings.batch_size, inputs, device="meta")
    return counted(lambda: step(batch))


def fitting(recipes: Sequence[MemoryBankRecipe], sizes: Sizes) -> Work:
    """Return the coresets of recipes that are fitted together: one for all that represent alike."""
    work: Work = Counter()
    for _, alike in groupby(recipes, key=_represented):
        sharing = list(alike)
        share = max(recipe.detection.coreset_share for recipe in sharing)
        work += _represent(sharing[0], sizes, sizes.train_images)
        work += coreset_work(sizes.train_patches, _dimension(sharing[0], sizes), share)
    return work


def coreset_work(patches: int, dimension: int, share: float) -> Work:
    """Return the work of one coreset of N features of d dimensions, with M centres.

    ``2 N d M`` FLOPs compare all with the centres, and ``2 m^2 d`` for each batch the m contenders
    with one another. A batch reads all features and four arrays of N numbers several times; the
    distances to its centres are written and read. The contenders' distances go to the host.
    """
    centres = coreset_size(patches, share)
    m = min(CONTENDERS, patches)
    batches = ceil(centres * assumptions()["batches of centres"].value)
    blocks = ceil(patches / max(1, COMPARED // (FLOAT * m)))
    return Counter(
        {
            "launches": batches * (BATCH_KERNELS + blocks * BATCH_BLOCK_KERNELS),
            "FLOPs": 2 * dimension * (patches * centres + batches * m**2),
            "bytes": FLOAT
            * (batches * (patches * (dimension + 16) + 4 * m**2) + 2 * patches * centres),
            "copied bytes": batches * FLOAT * m**2,
            "greedy choices": centres,
        }
    )


def scoring(recipe: MemoryBankRecipe, sizes: Sizes) -> Work:
    """Return the scores of all test images, as many at once as the method takes."""
    images = max(1, SCORED // (FLOAT * sizes.places * _dimension(recipe, sizes)))
    calls = ceil(sizes.test_images / images)
    work = _represent(recipe, sizes, sizes.test_images)
    return work + search_work(recipe, sizes, sizes.test_images, calls)


def training_scores(recipe: MemoryBankRecipe, sizes: Sizes, images: int | None = None) -> Work:
    """Return the scores of the training images (None: of all), each by a search of its own."""
    images = sizes.train_images if images is None else min(images, sizes.train_images)
    return search_work(recipe, sizes, images, images)


def scoring_left_out(recipe: MemoryBankRecipe, sizes: Sizes, versions: int) -> Work:
    """Return the scores of some versions of each training image, without the image's own part."""
    images = versions * sizes.train_images
    represented = _represent(recipe, sizes, images)
    # They come from the backbone, on the GPU.
    del represented["copied bytes"]
    return represented + search_work(recipe, sizes, images, sizes.train_images)


def search_work(recipe: MemoryBankRecipe, sizes: Sizes, images: int, calls: int) -> Work:
    """Return the scores of images in some calls (Eqs. 9-10) by a bank of M vectors.

    A query's products with the bank take ``2 M d`` FLOPs; they are written, and read twice to take
    the nearest. Candidates and crowds are gathered, written, subtracted and read. Each call looks
    for the crowds of as many stars as there can be.
    """
    settings, dimension = recipe.detection, _dimension(recipe, sizes)
    bank = coreset_size(sizes.train_patches, settings.coreset_share)
    queries = images * sizes.places
    crowd = min(settings.reweighting_neighbours, bank)
    reweighted = {"every_patch": queries, "top_patch": images, "none": 0}[settings.reweighting]
    stars = calls * min(bank, ceil(reweighted / calls))
    searched = queries + stars
    candidates = queries * (1 + SPARE) + stars * (crowd + SPARE)
    rows = max(1, SEARCHED // (FLOAT * (bank + (2 * (1 + SPARE) + 1) * dimension)))
    blocks = calls * ceil(searched / calls / rows)
    return Counter(
        {
            "launches": calls * SCORE_KERNELS + blocks * SCORE_BLOCK_KERNELS,
            "FLOPs": 2 * dimension * bank * searched,
            "bytes": FLOAT
            * (
                3 * bank * searched
                + dimension * (3 * searched + 6 * candidates + 6 * reweighted * crowd)
            ),
        }
    )


def diagnosing(recipe: MemoryBankRecipe, sizes: Sizes, left_out: int) -> Work:
    """Return a fitted method's diagnostics: ``2 N d^2`` FLOPs in double precision, and scores."""
    count, dimension = sizes.train_patches, _dimension(recipe, sizes)
    scatter: Work = Counter(
        {
            "launches": 6 * ceil(count / 2048),
            "FP64 FLOPs": 2 * count * dimension**2,
            "bytes": 60 * count * dimension,
            "spectra": 1,
        }
    )
    return scatter + training_scores(recipe, sizes, left_out)


def _represent(recipe: MemoryBankRecipe, sizes: Sizes, images: int) -> Work:
    """Copy stored patches of some images to the GPU, and represent them there."""
    count, dimension = images * sizes.places, _dimension(recipe, sizes)
    products = 2 * count * sizes.dimension * dimension if recipe.learned else 0
    return Counter(
        {
            "launches": 4 * ceil(count / ROWS),
            "FLOPs": products,
            "bytes": FLOAT * count * (2 * sizes.dimension + 3 * dimension),
            "copied bytes": _stored(recipe) * count * sizes.dimension,
        }
    )


def _represented(recipe: MemoryBankRecipe) -> str:
    return recipe.model_dump_json(exclude={"detection", "maps"})


def _dimension(recipe: MemoryBankRecipe, sizes: Sizes) -> int:
    chosen = getattr(recipe, "representation", None)
    return getattr(chosen, "dimension", None) or sizes.dimension


def _stored(recipe: MemoryBankRecipe) -> int:
    return np.dtype(recipe.features.stored_as).itemsize


def _mapped(recipe: MemoryBankRecipe, sizes: Sizes) -> int:
    return _stored(recipe) * sizes.train_patches * sizes.dimension
