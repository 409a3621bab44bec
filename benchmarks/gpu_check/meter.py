"""Seconds and peak memory of work on a device."""

import gc
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.gpu_check.check import Outcome, Value
from benchmarks.measure import PeakMemory

MIB = 2**20
LIBRARIES = 256
"""MiB beyond what is stated that cuBLAS and cuDNN may take for their workspaces."""


def seconds_of(work: Callable[[], Any], device: torch.device, repeats: int) -> float:
    """Return the median seconds of ``repeats`` calls, after one that does not count."""
    work()
    seconds = []
    for _ in range(repeats):
        wait(device)
        start = time.perf_counter()
        work()
        wait(device)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def wait(device: torch.device) -> None:
    """Wait for the work that is queued on a device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class DevicePeak:
    """The peak of a device's memory in a ``with`` block, in MiB, less what was there before.

    On a GPU it is what torch allocated, on a CPU the growth of the resident set.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.on_cpu = PeakMemory()

    def __enter__(self) -> "DevicePeak":
        gc.collect()
        if self.device.type == "cuda":
            wait(self.device)
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
            self._before = torch.cuda.memory_allocated(self.device)
        else:
            self.on_cpu.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self.device.type == "cuda":
            wait(self.device)
            peak = torch.cuda.max_memory_allocated(self.device)
            self.growth: float | None = (peak - self._before) / MIB
        else:
            self.on_cpu.__exit__(*error)
            self.growth = self.on_cpu.growth

    def beside(self, stated: float | None) -> Outcome:
        """Return the peak beside the bytes that the suite states, if it states some.

        A GPU's peak fails above those and ``LIBRARIES``. A CPU's does not: in a rehearsal's small
        sizes it is the interpreter's own memory.
        """
        if stated is None or self.growth is None:
            return Outcome({"peak_mib": self.growth})
        planned = stated / MIB
        problem = f"the peak is {self.growth:.0f} MiB where {planned:.0f} are stated"
        is_above = self.device.type == "cuda" and self.growth > planned + LIBRARIES
        values: dict[str, Value] = {"peak_mib": self.growth, "stated_mib": planned}
        return Outcome(values, problem if is_above else None)
