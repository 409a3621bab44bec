"""Folders: of images to read, and to write, whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconpatch.datasets.images import SUFFIXES, list_images
from reconpatch.utils.errors import InputError


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder aside to write to; on success it is renamed to ``path``, else removed.

    Raises:
        InputError: as ``check_free``.
    """
    check_free(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.absolute().with_name(f".{path.absolute().name}.{os.getpid()}.part")
    try:
        aside.mkdir()
        yield aside
        if path.is_dir():
            # It is empty; not every system renames a folder onto one that exists.
            path.rmdir()
        aside.replace(path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def check_free(path: Path) -> None:
    """Say before any work that a folder's place is taken.

    Raises:
        InputError: ``path`` is a file, or a folder that is not empty.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path} already exists; delete it, or give another folder.")


def images_in(folder: Path) -> list[Path]:
    """Return the image files in a folder, sorted by name.

    Raises:
        InputError: there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give one that holds images.")
    if found := list_images(folder):
        return found
    below = [path for level in ("*", "*/*") for path in sorted(folder.glob(level)) if path.is_dir()]
    holding = [str(path.relative_to(folder)) for path in below if list_images(path)]
    remedy = f"give one of its folders: {', '.join(holding)}" if holding else "put some there"
    raise InputError(f"{folder} holds no image ({', '.join(sorted(SUFFIXES))}); {remedy}.")
