"""GPUs of this machine, without waiting for torch: whether there is one, and whose it is."""

import getpass
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

LOCKS = Path(tempfile.gettempdir()) / f"reconpatch-{getpass.getuser()}"
"""One file a GPU of this machine, locked by the process that has it."""

POLL = 1.0
"""Seconds after which a process that waits for a GPU looks again."""

_taken: list[FileLock] = []


def has_gpu() -> bool:
    """Return whether NVIDIA's driver is loaded here."""
    return Path("/dev/nvidiactl").exists()


def take_gpu(names: Sequence[str], folder: Path = LOCKS) -> int:
    """Return the place in ``names`` of a GPU that no other process of this user has.

    The GPU is this process's until it ends: the system frees the lock also of a process that is
    killed. While others have all of them this waits. A process that has one keeps that one.

    Args:
        names: what GPUs are called on this machine, whatever their number in this process.
        folder: where their locks lie.
    """
    folder.mkdir(parents=True, exist_ok=True)
    locks = [FileLock(folder / f"{name}.lock", is_singleton=True) for name in names]
    for place, lock in enumerate(locks):
        if lock.is_locked:
            return place
    waits = False
    while True:
        for place, lock in enumerate(locks):
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            _taken.append(lock)
            return place
        if not waits:
            print(
                f"Waiting for a GPU: other processes have {', '.join(names)} (locks in {folder}).",
                file=sys.stderr,
                flush=True,
            )
        waits = True
        time.sleep(POLL)
