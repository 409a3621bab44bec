"""How long one image takes (Table S6)."""

import time
from collections.abc import Callable, Iterable
from itertools import cycle, islice

import torch
from torch import Tensor

WARM_UPS, ITERATIONS = 10, 30
"""Appendix C.2."""


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
        _wait()
        start = time.perf_counter()
        detect(image)
        _wait()
        milliseconds.append(1000 * (time.perf_counter() - start))
    return milliseconds[WARM_UPS:]


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
