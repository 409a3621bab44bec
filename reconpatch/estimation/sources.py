"""Images as people have them: a folder, files, PIL images, arrays or tensors."""

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from reconpatch.estimation.folders import images_in
from reconpatch.utils.errors import InputError

Source = Path | Image.Image


def as_sources(images: Any) -> list[Source]:
    """Return images one by one, as paths and PIL images; files are not opened.

    Args:
        images: a folder, an image file, a PIL image, or several images: a sequence of paths, PIL
            images, uint8 arrays ``(H, W)`` or ``(H, W, C)`` and uint8 tensors ``(H, W)`` or
            ``(C, H, W)``, or one array or tensor with a further first axis. C is 1, 3 or, with
            an alpha channel that is dropped, 4.

    Raises:
        InputError: there is no image, or what is given is none.
    """
    if isinstance(images, str | PathLike):
        path = Path(images)
        try:
            return list(images_in(path)) if path.is_dir() else [path]
        except OSError as error:
            raise InputError(f"{images!s:.100} is no file or folder ({error.strerror}).") from None
    if isinstance(images, Image.Image):
        images = [images]
    if isinstance(images, np.ndarray | Tensor) and images.ndim < 3:
        raise InputError(
            f"An array of shape {tuple(images.shape)} is no list of images; put a single image "
            "into a list."
        )
    if not isinstance(images, Iterable):
        raise InputError(
            f"{type(images).__name__} cannot be read as images; give a folder, or a list of "
            "paths, PIL images, uint8 arrays or uint8 tensors."
        )
    sources = [_as_source(image, number) for number, image in enumerate(images)]
    if not sources:
        raise InputError("There is no image in the list; give one or more.")
    return sources


def as_files(sources: Sequence[Source], folder: Path) -> list[Path]:
    """Return paths of images; those that are no files yet are written to ``folder`` as PNG.

    So all images go the same way, through the code that reads a data set's.
    """
    files = []
    for number, source in enumerate(sources):
        if isinstance(source, Image.Image):
            path = folder / f"image-{number}.png"
            # Written for one reading.
            source.save(path, compress_level=1)
            files.append(path)
        else:
            files.append(source)
    return files


def _as_source(image: Any, number: int) -> Source:
    if isinstance(image, str | PathLike):
        return Path(image)
    if isinstance(image, Image.Image):
        if image.mode.startswith(("I", "F")):
            raise InputError(
                f"Image {number} has more than 8 bits a channel (Pillow mode {image.mode}); give "
                "it as an 8-bit grey or RGB image."
            )
        return image.convert("RGB")
    if isinstance(image, Tensor):
        # Tensors have their channels first.
        pixels = (image.movedim(0, -1) if image.ndim == 3 else image).cpu().numpy()
    else:
        try:
            pixels = np.asarray(image)
        except ValueError:
            raise InputError(f"Image {number} is no array: its rows differ in length.") from None
    if pixels.dtype != np.uint8:
        raise InputError(
            f"Image {number} has values of type {pixels.dtype}; give levels from 0 to 255 as uint8."
        )
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if not pixels.size or not (
        pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    ):
        raise InputError(
            f"Image {number} has the shape {tuple(image.shape)}; give (H, W) or (H, W, 3) as an "
            "array, (H, W) or (3, H, W) as a tensor."
        )
    return Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")
