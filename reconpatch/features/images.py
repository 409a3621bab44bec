"""From image files to the square tensors that a backbone reads."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from PIL.Image import Image, Resampling
from torch import Tensor

from reconpatch.datasets.category import Sample
from reconpatch.datasets.images import open_image
from reconpatch.features.augmentation import apply, apply_to_mask, draw
from reconpatch.settings.features import AugmentationSettings, FeatureSettings

T = TypeVar("T")


def image_batches(
    images: Sequence[Path],
    settings: FeatureSettings,
    batch_size: int,
    threads: int,
    *,
    augmentation: AugmentationSettings | None = None,
) -> Iterator[Tensor]:
    """Yield uint8 tensors ``(B, 3, S, S)`` in order, decoded ahead of use by ``threads``.

    The shorter side, as PatchCore has it, or both are resized to ``resize`` pixels (bilinear,
    antialiased); then the middle square of ``crop`` pixels is kept, or all of a squeezed image. An
    augmentation comes in between. At most two batches wait in memory.

    Raises:
        InputError: an image is unreadable or truncated.
    """

    def load(path: Path) -> Tensor:
        original = open_image(path)
        image = _resized(original, settings, Resampling.BILINEAR)
        if augmentation:
            change = draw(augmentation, _name(path))
            image = apply(change, image, pixel_aspect=_pixel_aspect(original, image))
        return _middle(image, settings)

    tensors = _ahead(images, load, 2 * batch_size, threads)
    batch: list[Tensor] = []
    for tensor in tensors:
        batch.append(tensor)
        if len(batch) == batch_size:
            yield torch.stack(batch)
            batch = []
    if batch:
        yield torch.stack(batch)


def masks(
    samples: Sequence[Sample],
    settings: FeatureSettings,
    *,
    augmentation: AugmentationSettings | None = None,
) -> Tensor:
    """Return bool masks ``(N, S, S)`` on the images' geometry; a sample without one is False.

    A mask is resized and moved by its nearest pixels, so that no value between normal and defective
    arises.

    Raises:
        InputError: a mask is unreadable or truncated.
    """
    found = torch.zeros(len(samples), settings.size, settings.size, dtype=torch.bool)
    for row, sample in enumerate(samples):
        if sample.mask:
            original = open_image(sample.mask, "L")
            mask = _resized(original, settings, Resampling.NEAREST)
            if augmentation:
                change = draw(augmentation, _name(sample.image))
                mask = apply_to_mask(change, mask, pixel_aspect=_pixel_aspect(original, mask))
            found[row] = _middle(mask, settings)[0] > 0
    return found


class CutOff(NamedTuple):
    """What a centre crop leaves out: a share of the defective pixels, and of so many images all."""

    pixels: float
    images: int


def cut_off(samples: Sequence[Sample], settings: FeatureSettings) -> CutOff:
    """Return what the crop leaves out of the defects in the resized masks; raises as `masks`."""
    whole = seen = unseen_images = 0
    for sample in samples:
        if sample.mask:
            mask = _resized(open_image(sample.mask, "L"), settings, Resampling.NEAREST)
            there = mask.width * mask.height - mask.histogram()[0]
            left = int((_middle(mask, settings) > 0).sum())
            whole, seen = whole + there, seen + left
            unseen_images += there > 0 and left == 0
    return CutOff(1 - seen / whole if whole else 0.0, unseen_images)


def _name(path: Path) -> str:
    """What an image is called wherever its data set lies: category/split/defect/file."""
    return "/".join(path.parts[-4:])


def _resized(image: Image, settings: FeatureSettings, resampling: Resampling) -> Image:
    # Only now: torchvision takes seconds to import, and most steps read no image.
    from torchvision.transforms.functional import resize

    sides = [settings.resize] * (2 if settings.resize_to == "square" else 1)
    resized: Image = resize(image, sides, resampling)
    return resized


def _pixel_aspect(original: Image, resized: Image) -> float:
    """How wide a resized pixel is for its height, in the original's pixels."""
    return (original.width / resized.width) / (original.height / resized.height)


def _middle(image: Image, settings: FeatureSettings) -> Tensor:
    from torchvision.transforms.functional import center_crop, pil_to_tensor

    middle: Tensor = pil_to_tensor(center_crop(image, settings.size))
    return middle


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
