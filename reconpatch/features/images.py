"""From image files to the square tensors that a backbone reads."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch
from PIL.Image import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import center_crop, pil_to_tensor, resize

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
    """Yield uint8 tensors ``(B, 3, crop, crop)`` in order, decoded ahead of use by ``threads``.

    As PatchCore has it, the shorter side is resized to ``resize`` pixels (bilinear, antialiased)
    and the middle square of ``crop`` pixels is kept; an augmentation comes in between. At most two
    batches wait in memory.

    Raises:
        InputError: an image is unreadable or truncated.
    """

    def load(path: Path) -> Tensor:
        image = _resized(open_image(path), settings, InterpolationMode.BILINEAR)
        if augmentation:
            image = apply(draw(augmentation, _name(path)), image)
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
    """Return bool masks ``(N, crop, crop)`` on the images' geometry; a sample without one is False.

    A mask is resized and moved by its nearest pixels, so that no value between normal and defective
    arises.

    Raises:
        InputError: a mask is unreadable or truncated.
    """
    found = torch.zeros(len(samples), settings.crop, settings.crop, dtype=torch.bool)
    for row, sample in enumerate(samples):
        if sample.mask:
            mask = _resized(open_image(sample.mask, "L"), settings, InterpolationMode.NEAREST)
            if augmentation:
                mask = apply_to_mask(draw(augmentation, _name(sample.image)), mask)
            found[row] = _middle(mask, settings)[0] > 0
    return found


def _name(path: Path) -> str:
    """What an image is called wherever its data set lies: category/split/defect/file."""
    return "/".join(path.parts[-4:])


def _resized(image: Image, settings: FeatureSettings, interpolation: InterpolationMode) -> Image:
    resized: Image = resize(image, settings.resize, interpolation)
    return resized


def _middle(image: Image, settings: FeatureSettings) -> Tensor:
    middle: Tensor = pil_to_tensor(center_crop(image, settings.crop))
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
