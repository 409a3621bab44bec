"""Where the training's mini-batches come from: the device's memory, or the host's."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Patches = npt.NDArray[np.floating]
Order = npt.NDArray[np.int64]

SHARE = 0.9
"""Of the GPU's free memory, what patches and training may take; libraries have the rest."""
BLOCK = 64 << 20
"""Bytes that are copied to the device at a time."""


class PatchReader(Protocol):
    """Yields an epoch's mini-batches."""

    def epoch(self, order: Order) -> Iterator[Tensor]:
        """Yield the patches ``(B, D)`` of each mini-batch, as stored, on the reader's device.

        A mini-batch may be overwritten as soon as the next one is asked for.

        Args:
            order: the rows ``(steps, B)`` of each mini-batch.
        """


class HostReader:
    """Gathers each mini-batch on the host, where it also stays."""

    def __init__(self, flat: Patches) -> None:
        self.flat = flat

    def epoch(self, order: Order) -> Iterator[Tensor]:
        """Yield an epoch's mini-batches."""
        for rows in order:
            yield torch.from_numpy(self.flat[rows])


class ResidentReader:
    """Keeps all patches on the device, as wide as they are stored."""

    def __init__(self, flat: Patches, device: torch.device) -> None:
        stored = torch.from_numpy(flat[:0]).dtype
        self.patches = torch.empty(flat.shape, dtype=stored, device=device)
        rows = max(1, BLOCK // (flat.itemsize * flat.shape[1]))
        for start in range(0, len(flat), rows):
            block = torch.from_numpy(flat[start : start + rows])
            self.patches[start : start + rows].copy_(block)

    def epoch(self, order: Order) -> Iterator[Tensor]:
        """Yield an epoch's mini-batches; its order goes to the device once."""
        for rows in torch.from_numpy(order).to(self.patches.device):
            yield self.patches.index_select(0, rows)


class StreamingReader:
    """Gathers each mini-batch on the host, and copies it while the GPU is at the one before.

    Two pinned buffers on the host and two on the device take turns. A host buffer is filled once
    the copy out of it is done; a device buffer is copied over once the step that read it is done.
    """

    def __init__(self, flat: Patches, batch_size: int, device: torch.device) -> None:
        self.flat, self.device = torch.from_numpy(flat), device
        shape, stored = (2, batch_size, flat.shape[1]), self.flat.dtype
        self.gathered = torch.empty(shape, dtype=stored, pin_memory=device.type == "cuda")
        self.arrived = torch.empty(shape, dtype=stored, device=device)
        self.stream = torch.cuda.Stream(device)
        self.copied = [torch.cuda.Event() for _ in range(2)]
        self.used = [torch.cuda.Event() for _ in range(2)]
        for used in self.used:
            # Whatever had the buffers' memory before.
            used.record(torch.cuda.current_stream(device))

    def epoch(self, order: Order) -> Iterator[Tensor]:
        """Yield an epoch's mini-batches."""
        main = torch.cuda.current_stream(self.device)
        for step, rows in enumerate(torch.from_numpy(order)):
            turn = step % 2
            self.copied[turn].synchronize()
            torch.index_select(self.flat, 0, rows, out=self.gathered[turn])
            with torch.cuda.stream(self.stream):
                self.stream.wait_event(self.used[turn])
                self.arrived[turn].copy_(self.gathered[turn], non_blocking=True)
                self.copied[turn].record(self.stream)
            main.wait_event(self.copied[turn])
            yield self.arrived[turn]
            self.used[turn].record(main)


def patch_reader(
    flat: Patches, batch_size: int, device: torch.device, *, beside: int, on_gpu: bool
) -> PatchReader:
    """Return the reader for a device: on a GPU with all patches there, if they fit.

    Args:
        flat: the patches ``(N, D)``, possibly memory-mapped.
        batch_size: B.
        device: where the mini-batches are wanted.
        beside: bytes that the training takes beside the patches.
        on_gpu: False gathers on the host. A device that is no GPU has room for all patches.
    """
    if not on_gpu:
        return HostReader(flat)
    if device.type != "cuda" or flat.nbytes + beside <= SHARE * _free_bytes(device):
        return ResidentReader(flat, device)
    return StreamingReader(flat, batch_size, device)


def _free_bytes(device: torch.device) -> int:
    """What the GPU has free, with what torch keeps for later."""
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
