"""What a report says of the machine."""

import os
import subprocess
from importlib.metadata import distributions
from typing import Any

import faiss
import torch

from benchmarks.gpu_check.setup import Setup
from benchmarks.report import processor
from reconpatch.utils.provenance import provenance


def machine(setup: Setup) -> dict[str, Any]:
    """Return device, driver, processor, commit and versions, as JSON-ready values."""
    record = provenance(setup.device)
    packages = sorted(
        f"{d.name} {d.version}"
        for d in distributions()
        if (d.name or "").lower().startswith(("faiss", "nvidia-", "triton"))
    )
    about: dict[str, Any] = {
        "device": record["device"],
        "processor": f"{processor()}, {os.cpu_count()} cores, {setup.threads} threads",
        "commit": record["commit"],
        "matrix_precision": record["matrix_precision"],
        "searches_neighbours": _search(setup),
        "versions": record["versions"],
        "packages": packages,
    }
    if setup.on_gpu:
        gpu = torch.cuda.get_device_properties(setup.device)
        about |= {
            "memory_gib": round(gpu.total_memory / 2**30, 1),
            "compute_capability": f"{gpu.major}.{gpu.minor}",
            "driver": _driver(),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    return about


def _search(setup: Setup) -> str:
    if not setup.on_gpu:
        return "FAISS on the CPU"
    return "faiss-gpu" if hasattr(faiss, "StandardGpuResources") else "matrix products"


def _driver() -> str:
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown: there is no nvidia-smi"
    return told.splitlines()[0].strip()
