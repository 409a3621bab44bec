"""Work in units that take time: kernels, FLOPs, bytes, and what the host does."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

Work = Counter[str]
"""How much there is of each unit.

``launches`` are kernels that Python launches, ``replays`` those within a CUDA graph. ``FLOPs`` and
``FP64 FLOPs`` are those of matrix products and convolutions, two a multiplication and addition.
``bytes`` are read or written in the GPU's memory. The other units are lines of ``assumptions.csv``.
"""

KERNELS = {"topk": 4, "sort": 8, "argsort": 8, "scatter_add_": 16, "_unique2": 20}
"""Kernels of an operation that has several; with deterministic bits ``scatter_add_`` sorts."""

FREE = {"_record_function_enter_new", "_record_function_exit", "_unsafe_view", "detach", "device"}
FREE |= {"empty", "empty_like", "empty_strided", "lift_fresh", "new_empty", "set_"}
"""Operations without a kernel, beside views."""

PICKS = {"gather", "index", "index_select"}
"""Operations that read as much of their first tensor as they return."""


def times(work: Work, factor: float) -> Work:
    """Return ``factor`` times the work."""
    return Counter({unit: count * factor for unit, count in work.items()})


def counted(run: Callable[[], object]) -> Work:
    """Return the launches, FLOPs and bytes of what ``run`` does.

    Its tensors may be on torch's device ``meta``, where nothing is computed. Every operation reads
    its tensors and writes its results, as if no cache kept anything.
    """
    work: Work = Counter()
    with _Count(work):
        run()
    return work


class _Count(TorchDispatchMode):
    """Counts operations as a GPU's kernels: those made of others come as these."""

    def __init__(self, work: Work) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.work = work

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        packet = func.overloadpacket
        if packet not in flop_registry and func.namespace != "prim":
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        made = func(*args, **kwargs)
        name = packet.__name__
        if func.is_view or name in FREE:
            return made
        read, written = _bytes((args, kwargs)), _bytes(made)
        if name in PICKS:
            read = written + _bytes((args[1:], kwargs))
        self.work["launches"] += KERNELS.get(name, 1)
        self.work["bytes"] += read + written
        # torch leaves out what works in place.
        formula = flop_registry.get(getattr(torch.ops.aten, name.removesuffix("_"), packet))
        if formula:
            double = isinstance(made, Tensor) and made.dtype == torch.float64
            unit = "FP64 FLOPs" if double else "FLOPs"
            self.work[unit] += formula(*args, **kwargs, out_val=made)
        return made


def _bytes(tree: Any) -> int:
    return sum(leaf.nbytes for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))
