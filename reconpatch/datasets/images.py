"""Image files: list them, and open one."""

from pathlib import Path

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


def open_image(path: Path) -> Image.Image:
    """Return the fully decoded image at ``path`` in mode RGB, 8 bits a channel.

    Raises:
        InputError: The file cannot be read, is truncated, or has more than 8 bits a channel.
    """
    return _decode(path, "RGB")


def open_mask(path: Path) -> Image.Image:
    """Return the fully decoded mask at ``path`` in mode L; pixels above 0 are defective.

    Raises:
        InputError: The file cannot be read, is truncated, or has more than 8 bits a channel.
    """
    return _decode(path, "L")


def unreachable(path: Path, error: OSError) -> InputError:
    """Return the error for a file that the system cannot read."""
    return InputError(
        f"{path} cannot be read ({error.strerror}); check that it exists and that you may read it"
    )


def damaged(path: Path) -> InputError:
    """Return the error for a file that Pillow cannot decode."""
    return InputError(
        f"{path} is truncated or not an image; replace it with a whole copy, "
        "or delete it if it does not belong to the category"
    )


def check_depth(path: Path, mode: str) -> None:
    """Raise an error for an image whose Pillow ``mode`` has more than 8 bits a channel.

    Pillow would convert it by clipping its values at 255, without a warning: a white image.

    Raises:
        InputError: The mode is one of 16-bit, 32-bit, or floating-point grey.
    """
    if mode.startswith(("I", "F")):
        raise InputError(
            f"{path} has more than 8 bits a channel (Pillow mode {mode}); "
            "save it as an 8-bit grey or RGB image"
        )


def _decode(path: Path, mode: str) -> Image.Image:
    try:
        with Image.open(path) as image:
            check_depth(path, image.mode)
            return image.convert(mode)
    except (FileNotFoundError, PermissionError) as error:
        raise unreachable(path, error) from error
    except UNREADABLE as error:
        raise damaged(path) from error
