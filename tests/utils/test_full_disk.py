"""A full disk ends a step in our words and with nothing half written, on a real small disk."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from reconpatch.utils.files import atomic_write
from reconpatch.utils.memory_maps import new_array


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("a small file system cannot be mounted here: that needs Linux and root")
    yield place
    # An array may still be mapped.
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_an_array_that_does_not_fit_is_refused_before_it_is_written(small_disk: Path) -> None:
    with (
        pytest.raises(OSError, match="No space left on device") as refused,
        atomic_write(small_disk / "a.npy") as aside,
    ):
        new_array(aside, np.float32, (100, 1000))
    assert str(refused.value.filename).endswith(".part")
    assert list(small_disk.iterdir()) == []
    fits = new_array(small_disk / "b.npy", np.float32, (10, 1000))
    fits[:] = 1


def test_a_command_says_that_the_disk_is_full(small_disk: Path) -> None:
    command = [sys.executable, "-m", "reconpatch", "write-demo", "--output", small_disk / "demo"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Error: The disk is full: no room for the file" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(small_disk.rglob("*.part")) == []
