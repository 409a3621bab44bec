"""Torch as every step uses it: one device, a stated number of threads, the same bits every time."""

import ctypes
import os
import sys
from typing import Literal

import torch

from reconpatch.utils.errors import InputError, first_line
from reconpatch.utils.gpu import take_gpu

MatrixPrecision = Literal["highest", "high"]

CudaGraph = Literal["auto", "off"]
_cuda_graph: CudaGraph = "auto"


def captures_graphs() -> bool:
    """Return whether this process may capture training steps as CUDA graphs (``set_up_torch``)."""
    return _cuda_graph == "auto"


def set_up_torch(
    device: str,
    threads: int,
    matrix_precision: MatrixPrecision = "highest",
    cuda_graph: CudaGraph = "auto",
) -> torch.device:
    """Set threads, determinism and precision for this process and return the device.

    A GPU is this process's own until it ends (``take_gpu``), and its current device.

    Args:
        device: ``cpu``, ``cuda`` for a GPU that no other job has, ``cuda:N`` for that one,
            ``mps`` for Apple's, or ``auto`` for a GPU where there is one.
        threads: CPU threads of an operation; other numbers may give other last bits.
        matrix_precision: ``high`` lets a GPU round the factors of matrix products and convolutions
            to TF32's 10 bits; ``highest`` keeps the 23 bits of single precision. A CPU always does.
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
    # torch itself rounds convolutions to TF32, and matrix products not.
    torch.backends.cuda.matmul.allow_tf32 = matrix_precision == "high"
    torch.backends.cudnn.allow_tf32 = matrix_precision == "high"
    if device == "auto":
        device = best()
    try:
        chosen = torch.device(device)
        if chosen.type == "cuda":
            chosen = _own_gpu(chosen)
            torch.cuda.set_device(chosen)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"Device {device} is not to be had ({first_line(error)}); take cpu or auto."
        ) from None
    return chosen


def wait_for_gpu() -> None:
    """Wait for the work that this process queued on its GPU, if it uses one."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    elif torch.backends.mps.is_available():
        torch.mps.synchronize()


def best() -> str:
    """Return what ``auto`` takes here."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _own_gpu(asked: torch.device) -> torch.device:
    """The GPU that is asked for, or any; locked by its UUID, as other jobs may number it anew."""
    torch.cuda.init()
    indices = range(torch.cuda.device_count()) if asked.index is None else [asked.index]
    uuids = [str(torch.cuda.get_device_properties(index).uuid) for index in indices]
    return torch.device("cuda", indices[take_gpu(uuids)])


def _keep_freed_matrices() -> None:
    """Let glibc reuse a mini-batch's matrices from step to step.

    By default it hands each back to the system and asks for a fresh one, whose pages are then
    zeroed one by one: a tenth of a training step. Larger arrays still go back, as the heap that
    keeps them would grow by what it cannot fit together again.
    """
    trim_threshold, mmap_threshold = -1, -3
    # Windows has no library of this kind, and not every Linux has glibc's.
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(mmap_threshold, 8 << 20)
        mallopt(trim_threshold, 128 << 20)
