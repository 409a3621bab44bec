"""What a result must say of itself: versions, machine, commit, seconds, peak memory."""

import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import faiss
import torch

from reconpatch.utils.devices import wait_for_gpu

PACKAGE = Path(__file__).parents[1]
PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "adamp",
    "numpy",
    "scipy",
    "scikit-image",
    "pandas",
    "safetensors",
)


def provenance(device: torch.device) -> dict[str, Any]:
    """Return versions, device, precision and commit of this process, as JSON-ready values."""
    on_gpu, allows_tf32 = device.type == "cuda", torch.backends.cuda.matmul.allow_tf32
    versions = {"python": platform.python_version(), "faiss": faiss.__version__}
    return {
        "versions": versions | {package: version(package) for package in PACKAGES},
        "device": device_name(device),
        "device_kind": device.type,
        "matrix_precision": "high" if on_gpu and allows_tf32 else "highest",
        "commit": _commit(),
    }


def device_name(device: torch.device) -> str:
    """Return the device's name as a person would say it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return f"Apple GPU, {platform.machine()}"
    threads = torch.get_num_threads()
    return f"CPU {platform.machine()}, {threads} thread{'s' * (threads > 1)}"


@cache
def _commit() -> str | None:
    """The package's git commit, with a plus if its files changed since; None outside git."""
    git = ["git", "-C", str(PACKAGE)]
    try:
        head, changed = (
            subprocess.run([*git, *asked], capture_output=True, text=True, check=True).stdout
            for asked in (["rev-parse", "HEAD"], ["status", "--porcelain", "."])
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.strip() + ("+" if changed.strip() else "")


class Stopwatch:
    """Times the named steps of a piece of work.

    ``with watch("coreset"): ...`` adds the block's seconds to the step's.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Add the seconds of the block to ``step``; work queued on a GPU is waited for."""
        start = time.perf_counter()
        yield
        wait_for_gpu()
        self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - start

    def record(self) -> dict[str, Any]:
        """Return the seconds a step and the process's peak resident memory in MiB."""
        return {
            "seconds": {step: round(seconds, 3) for step, seconds in self.seconds.items()},
            "peak_mib": round(_peak_bytes() / 2**20),
        }


def _peak_bytes() -> int:
    """The most memory that this process had."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    # Windows has no such module.
    import resource

    # It counts bytes on macOS and KiB elsewhere.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 2**10
    )
