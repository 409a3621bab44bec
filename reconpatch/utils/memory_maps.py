"""Arrays on disk that are written piece by piece."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def new_array(path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> "np.memmap[Any, Any]":
    """Return a new ``.npy`` file as an array to write to, its place on the disk reserved.

    Raises:
        OSError: the disk has no room for it. Without the reservation, the first write that finds
            no room would end the process by a signal, without a word.
    """
    array = np.lib.format.open_memmap(path, "w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(path)) from None
    return array
