"""Seconds and peak memory of a piece of work, several of them in turns.

Memory is the kernel's own account of this process. Writing 5 to ``/proc/self/clear_refs`` sets the
high-water mark of its resident set back to what is resident now; ``VmHWM`` then is the exact peak
of whatever follows, however short it was, which a thread that looks now and then would miss. What
the C library keeps of freed memory is handed back first (``malloc_trim``): it would be resident
before the work and be used by it unseen. Pages of mapped files that the work touches count, as they
fill memory too; those of child processes do not. Linux alone has this; elsewhere no memory is told.
"""

import ctypes
import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

LONG = 12.0
"""Seconds from which on a piece of work runs only once."""

PROCESS = Path("/proc/self")
console = Console(highlight=False)


@dataclass(frozen=True)
class Measured:
    """What a piece of work took.

    Attributes:
        seconds: of each timed call.
        peak_mib: by how much the resident set grew at most during the first call.
        resident_mib: the whole resident set at that moment.
        result: what the first call returned.
    """

    seconds: tuple[float, ...]
    peak_mib: float | None = None
    resident_mib: float | None = None
    result: Any = None

    @property
    def median(self) -> float:
        """The median of the timed calls, in seconds."""
        return statistics.median(self.seconds)

    def times(self, factor: float) -> "Measured":
        """Return the same work done ``factor`` times, by extrapolation."""
        return replace(self, seconds=tuple(factor * seconds for seconds in self.seconds))


class PeakMemory:
    """The resident set's peak while the block of a ``with`` runs, in MiB; None outside Linux.

    Attributes:
        growth: the peak less what was resident before the block.
        resident: the peak itself.
    """

    growth: float | None = None
    resident: float | None = None

    def __enter__(self) -> "PeakMemory":
        gc.collect()
        if PROCESS.exists():
            ctypes.CDLL(None).malloc_trim(0)
            (PROCESS / "clear_refs").write_text("5")
            self._before = _status("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        if PROCESS.exists():
            self.resident = _status("VmHWM")
            self.growth = max(0.0, self.resident - self._before)


def _status(field: str) -> float:
    for line in (PROCESS / "status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


def in_turns(works: Mapping[str, Callable[[], Any]], repeats: int = 3) -> dict[str, Measured]:
    """Measure each work under its name.

    A first call of each gives its memory. Where it took over ``LONG`` seconds it is the only one
    and its time counts. For the others it was the warm-up: ``repeats`` further rounds are timed, in
    which all take turns, so that a slow moment of the machine does not fall on one alone.
    """
    measured = {}
    for name, work in works.items():
        console.print(f"  {name} ...")
        memory = PeakMemory()
        with memory:
            start = time.perf_counter()
            result = work()
            seconds = time.perf_counter() - start
        measured[name] = Measured((seconds,), memory.growth, memory.resident, result)
    short = {name: work for name, work in works.items() if measured[name].median <= LONG}
    rounds: dict[str, list[float]] = {name: [] for name in short}
    for _ in range(repeats):
        for name, work in short.items():
            start = time.perf_counter()
            work()
            rounds[name].append(time.perf_counter() - start)
    for name, seconds_each in rounds.items():
        if seconds_each:
            measured[name] = replace(measured[name], seconds=tuple(seconds_each))
    for name, one in measured.items():
        console.print(f"  {name}: {one.median:.3g} s (median of {len(one.seconds)})")
    return measured
