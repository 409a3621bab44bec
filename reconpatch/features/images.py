"""From image files to the square tensors that a backbone reads."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch
from PIL.Image import Image
from torch import Tensor
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, PILToTensor, Resize

from reconpatch.datasets import Sample, open_image, open_mask
from reconpatch.recipe import FeatureSettings

T = TypeVar("T")


def image_batches(
    images: Sequence[Path], settings: FeatureSettings, batch_size: int, threads: int
) -> Iterator[Tensor]:
    """Yield uint8 tensors ``(B, 3, crop, crop)`` in order, decoded ahead of use by ``threads``.

    As PatchCore has it, the shorter side is resized to ``resize`` pixels (bilinear, antialiased)
    and the middle square of ``crop`` pixels is kept. At most two batches wait in memory.

    Raises:
        InputError: an image is unreadable or truncated.
    """
    square = _square(settings, InterpolationMode.BILINEAR)
    tensors = _ahead(images, lambda path: square(open_image(path)), 2 * batch_size, threads)
    batch: list[Tensor] = []
    for tensor in tensors:
        batch.append(tensor)
        if len(batch) == batch_size:
            yield torch.stack(batch)
            batch = []
    if batch:
        yield torch.stack(batch)


def masks(samples: Sequence[Sample], settings: FeatureSettings) -> Tensor:
    """Return bool masks ``(N, crop, crop)`` on the images' geometry; a sample without one is False.

    A mask is resized by its nearest pixels, so that no value between normal and defective arises.

    Raises:
        InputError: a mask is unreadable or truncated.
    """
    square = _square(settings, InterpolationMode.NEAREST)
    found = torch.zeros(len(samples), settings.crop, settings.crop, dtype=torch.bool)
    for row, sample in enumerate(samples):
        if sample.mask:
            found[row] = square(open_mask(sample.mask))[0] > 0
    return found


def _square(
    settings: FeatureSettings, interpolation: InterpolationMode
) -> Callable[[Image], Tensor]:
    steps = [Resize(settings.resize, interpolation), CenterCrop(settings.crop), PILToTensor()]
    square: Callable[[Image], Tensor] = Compose(steps)
    return square


def _ahead(
    paths: Sequence[Path], load: Callable[[Path], T], ahead: int, threads: int
) -> Iterator[T]:
    """Yield ``load(path)`` in order while up to ``ahead`` further ones load in threads."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for path in paths:
                waiting.append(pool.submit(load, path))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
