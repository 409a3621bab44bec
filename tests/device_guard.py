"""What a GPU would object to, found without one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

READS = {
    "_local_scalar_dense",
    "_unique",
    "_unique2",
    "bincount",
    "equal",
    "histc",
    "is_nonzero",
    "item",
    "masked_select",
    "nonzero",
    "repeat_interleave",
    "unique_consecutive",
    "unique_dim",
    "unique_dim_consecutive",
}
"""Operations whose result, or its shape, the host must wait for."""


class DeviceGuard(TorchDispatchMode):
    """Fails at an operation that reads a value on the host, or has a tensor on another device.

    No exception is made for scalars on the CPU that torch would take: numbers need no tensor.

    Attributes:
        operations: how many there were.
        peak: the most bytes that lay at once in what they returned.
    """

    def __init__(self, device: torch.device | str, *given: Tensor) -> None:
        """Watch over ``device``; ``given`` tensors are there from the start."""
        super().__init__()
        self.device = torch.device(device)
        self.operations = self.peak = 0
        self._live: dict[int, tuple[StorageWeakRef, int]] = {}
        self._count(given)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the operation between the checks."""
        name = func.overloadpacket.__name__
        assert name not in READS, f"{func} waits for the device"
        inputs = list(_tensors((args, kwargs or {})))
        if name in ("index", "index_put", "index_put_", "_index_put_impl_"):
            masks = [t for t in inputs[1:] if t.dtype in (torch.bool, torch.uint8)]
            assert not masks, f"{func} with a mask waits for the device"
        found = func(*args, **(kwargs or {}))
        outputs = list(_tensors(found))
        for tensor in inputs + outputs:
            assert tensor.device.type == self.device.type, f"{func} has a tensor on {tensor.device}"
        self.operations += 1
        self._count(outputs)
        return found

    def _count(self, tensors: Sequence[Tensor]) -> None:
        self._live = {key: each for key, each in self._live.items() if not each[0].expired()}
        for tensor in tensors:
            storage = tensor.untyped_storage()
            self._live.setdefault(storage._cdata, (StorageWeakRef(storage), storage.nbytes()))
        self.peak = max(self.peak, sum(size for _, size in self._live.values()))


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))
