"""Torch as every step uses it: one device, a stated number of threads, the same bits every time."""

import ctypes
import os
from typing import Literal

import torch

from reconpatch.utils.errors import InputError

CudaGraph = Literal["auto", "off"]
_cuda_graph: CudaGraph = "auto"


def captures_graphs() -> bool:
    """Return whether this process may capture training steps as CUDA graphs (``set_up_torch``)."""
    return _cuda_graph == "auto"


def set_up_torch(device: str, threads: int, *, cuda_graph: CudaGraph = "auto") -> torch.device:
    """Set threads and determinism for this process and return the device.

    Args:
        device: ``cpu``, ``cuda``, ``cuda:N``, or ``auto`` for a GPU where there is one.
        threads: CPU threads of an operation; other numbers may give other last bits.
        cuda_graph: ``auto`` replays training steps as CUDA graphs where the device can, ``off``
            launches each operation. The results are the same.

    Raises:
        InputError: the device is unknown or not there.
    """
    global _cuda_graph
    _cuda_graph = cuda_graph
    # cuBLAS repeats its bits only with a workspace of fixed size, chosen before its first call.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    _keep_freed_matrices()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # That would also fill every fresh tensor, to show up reads of unwritten memory, at some cost.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"Device {device} is not to be had ({str(error).splitlines()[0]}); take cpu or auto."
        ) from None
    return chosen


def _keep_freed_matrices() -> None:
    """Let glibc reuse a mini-batch's matrices from step to step.

    By default it hands each back to the system and asks for a fresh one, whose pages are then
    zeroed one by one: a tenth of a training step. Larger arrays still go back, as the heap that
    keeps them would grow by what it cannot fit together again.
    """
    trim_threshold, mmap_threshold = -1, -3
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(mmap_threshold, 8 << 20)
        mallopt(trim_threshold, 128 << 20)
