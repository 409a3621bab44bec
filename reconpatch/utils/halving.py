"""Work in blocks that shrink when memory does not do."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch

from reconpatch.utils.errors import memory_trouble

Result = TypeVar("Result")


class Blocks:
    """Work on rows, a block at a time: half as many from the moment that memory runs out.

    Whatever the block, each row is worked on once and in order. Its numbers are the same as far as
    ``work`` gives a row's numbers whatever stands beside it: cuDNN and cuBLAS may choose other
    kernels for other sizes, which moves last bits.

    Attributes:
        size: how many rows are worked on at once, now.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, work: Callable[[Any], Result], rows: Any) -> Iterator[Result]:
        """Yield what ``work`` makes of ``rows``, an array or tensor, block by block.

        Raises:
            InputError: the device has no memory for a single row.
        """
        start = 0
        while start < len(rows):
            block = rows[start : start + self.size]
            try:
                made = work(block)
            except (MemoryError, RuntimeError) as error:
                trouble = memory_trouble(error)
                if trouble is None:
                    raise
                if len(block) == 1:
                    raise trouble from None
                self.size = len(block) // 2
            else:
                yield made
                start += len(block)
                continue
            # Here, where the error and with it the tensors of its frames are gone.
            torch.cuda.empty_cache()
