"""Image files: list them, and open one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reconpatch.utils.errors import InputError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})

# What Pillow raises for a file that is not an image, ends early, has a wrong checksum, or claims an
# absurd size.
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def list_images(folder: Path) -> list[Path]:
    """Return the image files in ``folder``, sorted by name.

    Hidden files and files with other suffixes are left out; upper and lower case are the same.
    """
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
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
    except (FileNotFoundError, PermissionError) as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); check that it exists and may be read"
        ) from error
    except UNREADABLE as error:
        raise InputError(
            f"{path} is truncated or not an image; replace it with a whole copy, "
            "or delete it if it does not belong to the category"
        ) from error


def open_image(path: Path, mode: Literal["RGB", "L"] = "RGB") -> Image.Image:
    """Return the fully decoded image at ``path``, 8 bits a channel; raises as :func:`opened`."""
    with opened(path) as image:
        return image.convert(mode)


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
