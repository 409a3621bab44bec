"""The machine: Python, torch, FAISS, memory, disk, Slurm."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

import faiss
import torch

from reconpatch.fetching.catalogue import Dataset
from reconpatch.setup.doctor.checks import Check
from reconpatch.utils.gpu import has_gpu

FAISS_PACKAGES = {"faiss-cpu", "faiss-gpu", "faiss-gpu-cu11", "faiss-gpu-cu12"}
GIB = 2**30


def check_machine(data_root: Path, to_fetch: list[Dataset]) -> list[Check]:
    """Return the checks of the machine; the data sets ``to_fetch`` still need disk space."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return [
        Check("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        _torch(),
        _faiss(),
        Check("memory", f"{memory / GIB:.1f} GiB, {os.cpu_count()} CPU cores"),
        _disk(data_root, to_fetch),
        _slurm(),
    ]


def _torch() -> Check:
    version = str(torch.__version__)
    if torch.cuda.is_available():
        gpu = torch.cuda.get_device_properties(0)
        memory = f"{gpu.total_memory / GIB:.0f} GiB"
        return Check("torch", f"{version}, CUDA {torch.version.cuda}, {gpu.name} with {memory}")
    if has_gpu():
        problem = "This machine has an NVIDIA GPU that torch cannot use."
        remedy = (
            "conda env create -f environment.yml installs a torch that can; or set device: cpu in "
            "config/config.yaml."
        )
        return Check("torch", f"{version}, without CUDA", "problem", (problem,), remedy)
    return Check("torch", f"{version}, no GPU in this machine")


def _faiss() -> Check:
    installed = sorted({(d.name or "").lower() for d in distributions()} & FAISS_PACKAGES)
    kind = "GPU" if hasattr(faiss, "StandardGpuResources") else "CPU"
    detail = f"{faiss.__version__}, for {kind}"
    if len(installed) > 1:
        both = f"{' and '.join(installed)} are both installed, and overwrite each other's files."
        remedy = f"pip uninstall {' '.join(installed)}, then install the one you want."
        return Check("FAISS", detail, "problem", (both,), remedy)
    return Check("FAISS", detail)


def _disk(data_root: Path, to_fetch: list[Dataset]) -> Check:
    place = data_root.absolute()
    folder = next(path for path in (place, *place.parents) if path.is_dir())
    free = shutil.disk_usage(folder).free / GIB
    detail = f"{free:.0f} GiB free in {folder}"
    # For a while the disk holds an archive and its unpacked files.
    sizes = [dataset.unpacked_gib for dataset in to_fetch]
    needed = sum(sizes) + max(sizes, default=0)
    if free < needed:
        names = " and ".join(dataset.title for dataset in to_fetch)
        problem = f"Fetching {names} may take {needed:.0f} GiB."
        remedy = "Make room, or set data_root in config/config.yaml to a folder on another disk."
        return Check("disk", detail, "problem", (problem,), remedy)
    return Check("disk", detail)


def _slurm() -> Check:
    if not shutil.which("sbatch"):
        return Check("Slurm", "not installed", "-")
    asked = subprocess.run(["sbatch", "--version"], capture_output=True, text=True, check=False)
    detail = asked.stdout.strip() or "installed, not set up"
    # No problem: who stays on this machine needs no plugin.
    if not find_spec("snakemake_executor_plugin_slurm"):
        detail += "; to submit jobs: pip install -r requirements-clusters.txt"
        return Check("Slurm", detail, "-")
    return Check("Slurm", detail)
