"""How long one image takes with a measured run: the image in, its score and map out (Table S6)."""

import time
from collections.abc import Callable, Iterable
from itertools import cycle, islice
from pathlib import Path

import torch
from torch import Tensor

from reconpatch.detection import anomaly_maps
from reconpatch.features import image_batches, patch_features
from reconpatch.runs.recipe_run import RecipeRun
from reconpatch.utils.files import write_json
from reconpatch.utils.provenance import provenance, wait_for_gpu

WARM_UPS, ITERATIONS = 10, 30
"""Appendix C.2."""


def time_inference(runs: list[RecipeRun], weights_folder: Path) -> None:
    """Measure how long a test image takes with each run, and write its ``inference.json``.

    The clock runs from the decoded image to its map. The images are the category's first test
    images, one at a time.

    Raises:
        InputError: a backbone's weights are not to be had or not those that were used, or a
            representation is damaged.
    """
    for run in runs:
        paths = [sample.image for sample in run.test_features.category.test[:ITERATIONS]]
        images = list(image_batches(paths, run.recipe.features, 1, 1))
        write_json(
            run.folder / "inference.json",
            {
                "milliseconds": inference_times(_detector(run, weights_folder), images),
                **provenance(run.device),
            },
        )


def _detector(run: RecipeRun, weights_folder: Path) -> Callable[[Tensor], object]:
    """The run as it would be used: from uint8 ``(B, 3, crop, crop)`` to scores and maps."""
    features = run.recipe.features
    backbone = run.test_features.backbone(weights_folder, run.device)
    method = run.method()

    @torch.inference_mode()
    def detect(images: Tensor) -> object:
        scores = method.score(patch_features(backbone(images.to(run.device)), features))
        return scores.images, anomaly_maps(scores.patches, features.crop, run.recipe.maps)

    return detect


def inference_times(detect: Callable[[Tensor], object], images: Iterable[Tensor]) -> list[float]:
    """Return the milliseconds of ``ITERATIONS`` calls of ``detect``, after ``WARM_UPS`` others.

    Each call gets the next of the images, from the first again after the last. Before the clock is
    read the GPU, where there is one, has finished.

    Args:
        detect: takes one image.
        images: the images; one at least.
    """
    milliseconds = []
    for image in islice(cycle(images), WARM_UPS + ITERATIONS):
        wait_for_gpu()
        start = time.perf_counter()
        detect(image)
        wait_for_gpu()
        milliseconds.append(1000 * (time.perf_counter() - start))
    return milliseconds[WARM_UPS:]
