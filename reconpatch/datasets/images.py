"""Image files: list them, and open one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from reconpatch.utils.errors import InputError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
OTHERS = frozenset({".gif", ".heic", ".heif", ".avif", ".jp2", ".dng", ".npy", ".dcm"})
"""What may be an image, and is not read."""

# What Pillow raises for a file that is not an image, ends early, or has a wrong checksum.
UNREADABLE = (OSError, SyntaxError, ValueError)


def list_images(folder: Path) -> list[Path]:
    """Return the image files in ``folder``, sorted by name.

    Hidden files and files with other suffixes are left out; upper and lower case are the same. What
    has an image's name and is none, such as a link to a file that is not there, is returned:
    whoever opens it is told.
    """
    return _with_suffix(folder, SUFFIXES)


def list_others(folder: Path) -> list[Path]:
    """Return the files in ``folder`` that may be images and that ``list_images`` leaves out."""
    return _with_suffix(folder, OTHERS)


def _with_suffix(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open the image at ``path``, and say what is amiss if it cannot be read in the block.

    Raises:
        InputError: The file cannot be read, is truncated, or has more than 8 bits a channel.
            Pillow clips such values at 255 when it converts them: the image would turn white.
    """
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise InputError(
                    f"{path} has more than 8 bits a channel (Pillow mode {image.mode}); "
                    "save it as an 8-bit grey or RGB image"
                )
            yield image
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); check that it exists and may be read"
        ) from error
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{path} claims more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, which may fill "
            "the memory; make it smaller, or delete it if it does not belong to the category"
        ) from error
    except UNREADABLE as error:
        raise InputError(
            f"{path} is truncated or not an image; replace it with a whole copy, "
            "or delete it if it does not belong to the category"
        ) from error


def open_image(path: Path, mode: Literal["RGB", "L"] = "RGB") -> Image.Image:
    """Return the fully decoded image at ``path``, 8 bits a channel; raises as :func:`opened`.

    It is turned as its EXIF data say, as viewers show it.
    """
    with opened(path) as image:
        return ImageOps.exif_transpose(image).convert(mode)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return an image's width and height as ``open_image`` returns it, without decoding it."""
    # To ask a PNG for EXIF data that it does not begin with would decode it.
    told = image.format != "PNG" or "exif" in image.info
    # The orientations from 5 on swap the sides.
    turned = told and image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
    return (image.height, image.width) if turned else image.size


def changed_within(
    mask: NDArray[np.bool_], image: NDArray[np.uint8], other: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return ``other`` within the mask ``(H, W)`` and ``image`` elsewhere, RGB ``(H, W, 3)``.

    All pixels of the mask differ from the image: where the two agree by chance, they are made one
    level darker or brighter, which nobody sees.
    """
    found = np.where(mask[..., None], other, image)
    chance = mask & (found == image).all(axis=2)
    found[chance] = np.where(image[chance] > 0, image[chance] - 1, 1)
    return found
