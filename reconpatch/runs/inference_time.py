"""How long one image takes: the decoded image in, its score and map out (Table S6)."""

import time
from collections.abc import Callable, Iterable
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.features.backbones import Backbone
from reconpatch.features.layer_maps import as_read
from reconpatch.utils.devices import wait_for_gpu

if TYPE_CHECKING:
    from reconpatch.methods.method import Method

WARM_UPS, ITERATIONS = 10, 30
"""Appendix C.2."""


def detector(method: "Method[Any]", backbone: Backbone) -> Callable[[Tensor], object]:
    """Return a method as it would be used: from uint8 ``(B, 3, S, S)`` to scores and maps."""
    recipe = method.recipe

    @torch.inference_mode()
    def detect(images: Tensor) -> object:
        scores = method.score(as_read(backbone(images.to(method.device)), recipe))
        return scores.images, anomaly_maps(scores.patches, recipe.features.size, recipe.maps)

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
