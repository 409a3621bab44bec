"""A training step replayed as a CUDA graph: one launch in place of some hundred."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from reconpatch.utils.errors import first_line

WARM_UP = 3
"""Steps before the capture: in the first ones libraries and allocator set themselves up."""


class CapturedStep:
    """Takes a few steps as they are, then captures one and replays it from there on.

    All steps count, those before the capture too, so that the results are those of the plain step.
    A step that the device cannot capture goes on as it is, with a warning.
    """

    def __init__(self, step: Callable[[Tensor], None], device: torch.device) -> None:
        """Prepare to capture.

        Args:
            step: reads nothing on the host, and keeps all that changes in tensors.
            device: a GPU.
        """
        self.step, self.device = step, device
        self.stream = torch.cuda.Stream(device)
        self.taken = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.batch: Tensor | None = None

    def __call__(self, batch: Tensor) -> None:
        """Take a step on a mini-batch ``(B, D)``, which must have the first one's shape."""
        if self.taken == WARM_UP:
            self._capture(batch)
        if self.graph is not None and self.batch is not None:
            self.batch.copy_(batch)
            self.graph.replay()
        else:
            # On the stream of the capture, as cuBLAS has its workspace by stream.
            main = torch.cuda.current_stream(self.device)
            self.stream.wait_stream(main)
            with torch.cuda.stream(self.stream):
                self.step(batch)
            main.wait_stream(self.stream)
        self.taken += 1

    def _capture(self, batch: Tensor) -> None:
        """Record what a step does, without doing it."""
        self.batch, graph = batch.clone(), torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self.stream):
                self.step(self.batch)
        except RuntimeError as error:
            reason = first_line(error)
            warnings.warn(f"Training without a CUDA graph: {reason}", stacklevel=2)
        else:
            self.graph = graph
