"""Measure the seconds and the peak memory of several pieces of work, in turns.

Memory is what the Linux kernel records of this process; on other systems it is not measured.
Writing 5 to ``/proc/self/clear_refs`` resets the peak of the resident set to its present size;
``VmHWM`` is then the exact peak of what follows, however short, which a sampling thread would miss.
Freed memory that the C library keeps is returned first (``malloc_trim``), because the work could
use it without any growth. Pages of mapped files count, as they fill memory too; the memory of child
processes does not.
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
"""A piece of work that takes more seconds than this runs only once."""

PROCESS = Path("/proc/self")
console = Console(highlight=False)


@dataclass(frozen=True)
class Measured:
    """Time and memory of a piece of work.

    Attributes:
        seconds: of each timed call.
        peak_mib: the largest growth of the resident set during the first call.
        resident_mib: the peak of the resident set itself.
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
        """Return the extrapolation to ``factor`` times the work."""
        return replace(self, seconds=tuple(factor * seconds for seconds in self.seconds))


class PeakMemory:
    """The peak of the resident set in a ``with`` block, in MiB; None on systems other than Linux.

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

    The first call of each measures its memory. If it took more than ``LONG`` seconds, it is the
    only call, and its time counts. For the others it is a warm-up: ``repeats`` further rounds are
    timed, in which they take turns, so that a slow moment of the machine does not affect one alone.
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
