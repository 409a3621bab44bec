"""A GPU where there is none: tensors that say they are on one, and bytes that live at once.

``PretendedGpu`` computes with real values on the CPU and fails, as CUDA would, where an operation
gets tensors of two devices. ``fake_gpu`` computes nothing but shapes, at any size, and counts what
would lie on a device. Both are without gradients. ``DeviceGuard`` watches a device that is there,
gradients included, and also fails where the host would wait.
"""

import weakref
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

CUDA = torch.device("cuda:0")
GIB = 2**30

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


class OnPretendedGpu(Tensor):
    """A tensor that says it is on a GPU; ``PretendedGpu`` makes it and knows its values."""

    values: Tensor

    @staticmethod
    def __new__(cls, values: Tensor) -> "OnPretendedGpu":
        wrapper: OnPretendedGpu = Tensor._make_wrapper_subclass(
            cls,
            values.shape,
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=CUDA,
        )
        wrapper.values = values
        return wrapper

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{func} outside the mode that pretends a GPU")


class _Operations(TorchDispatchMode):
    """Sees operations as CUDA's kernels do: those made of others come as these."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._has_compatible_shallow_copy_type.default:
            # Module.to asks it, and then gives its parameters new tensors.
            return False
        parts = NotImplemented
        if func.namespace != "prim":
            with self:
                parts = func.decompose(*args, **(kwargs or {}))
        return self.operate(func, args, kwargs or {}) if parts is NotImplemented else parts

    @abstractmethod
    def operate(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Run an operation that is made of no others."""


class PretendedGpu(_Operations):
    """While it is entered, ``device="cuda"`` gives tensors whose values are really on the CPU.

    An operation whose tensors are on two devices raises an AssertionError, except for copies, for
    scalars of no dimension, and for indices on the CPU, which CUDA takes as well.

    Args:
        largest: bytes of the largest tensor that fits; a larger one raises torch's own error.
    """

    # By this key torch's bindings know that there is no CUDA to set up.
    _mode_key: ClassVar[Any] = torch._C._TorchDispatchModeKey.FAKE

    def __init__(self, largest: float = float("inf")) -> None:
        super().__init__()
        self._largest = largest
        self._before: list[tuple[bool, bool]] = []

    def __enter__(self) -> "PretendedGpu":
        # As FakeTensorMode does: no CUDA is called, and torch.tensor makes its tensors on the CPU.
        torch._C._ensureCUDADeviceGuardSet()
        self._before.append((torch._C._only_lift_cpu_tensors(), torch.backends.cudnn.enabled))
        torch._C._set_only_lift_cpu_tensors(True)
        # A CPU has torch's own kernels alone.
        torch.backends.cudnn.enabled = False
        return super().__enter__()  # type: ignore[no-any-return]

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        lifts, cudnn = self._before.pop()
        torch._C._set_only_lift_cpu_tensors(lifts)
        torch.backends.cudnn.enabled = cudnn

    def operate(self, func: Any, args: Any, kwargs: Any) -> Any:
        flat, form = tree_flatten((args, kwargs))
        on_gpu = any(isinstance(argument, OnPretendedGpu) for argument in flat)
        if on_gpu:
            _check_devices(func, args, flat)
        asked = [argument for argument in flat if isinstance(argument, torch.device)]
        to_gpu = asked[0].type == "cuda" if asked else on_gpu
        plain = [_as_on_cpu(argument) for argument in flat]
        given_back = {id(p): f for p, f in zip(plain, flat, strict=True)}
        args, kwargs = tree_unflatten(plain, form)
        there = {t.untyped_storage().data_ptr() for t in plain if isinstance(t, Tensor)}

        def wrapped(made: Any) -> Any:
            if not isinstance(made, Tensor):
                return made
            new = to_gpu and made.untyped_storage().data_ptr() not in there
            if new and made.nbytes > self._largest:
                raise torch.OutOfMemoryError(
                    f"CUDA out of memory. Tried to allocate {made.nbytes} bytes. GPU 0 has a total "
                    f"capacity of which {self._largest} bytes is free. Advice on the allocator."
                )
            # What was worked on in place is the tensor that it was.
            return given_back.get(id(made), OnPretendedGpu(made) if to_gpu else made)

        return tree_map(wrapped, func(*args, **kwargs))


def _as_on_cpu(argument: Any) -> Any:
    if isinstance(argument, OnPretendedGpu):
        return argument.values
    return torch.device("cpu") if isinstance(argument, torch.device) else argument


def _check_devices(func: Any, args: Any, flat: list[Any]) -> None:
    if func.overloadpacket in (torch.ops.aten.copy_, torch.ops.aten._to_copy):
        return
    indexes = func.overloadpacket in (torch.ops.aten.index, torch.ops.aten.index_put_)
    looked_at = tree_leaves(args[0]) if indexes else flat
    stray = [
        tuple(t.shape)
        for t in looked_at
        if isinstance(t, Tensor) and not isinstance(t, OnPretendedGpu) and t.ndim
    ]
    assert not stray, f"{func} of tensors on the GPU gets some on the CPU, of shape {stray}"


class LiveBytes(_Operations):
    """Counts the bytes of tensors that operations made and that still live, by kind of device.

    Entered inside ``FakeTensorMode`` it counts what would be; what a kernel takes for itself
    while it runs is beyond it.

    Attributes:
        now: the bytes on each kind of device.
        peak: the largest that ``now`` has been.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()
        self._seen: weakref.WeakSet[Any] = weakref.WeakSet()

    def operate(self, func: Any, args: Any, kwargs: Any) -> Any:
        made = func(*args, **kwargs)
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._count(tensor)
        return made

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage in self._seen:
            return
        self._seen.add(storage)
        kind, size = tensor.device.type, storage.nbytes()
        self.now[kind] += size
        self.peak[kind] = max(self.peak[kind], self.now[kind])
        weakref.finalize(storage, self._free, kind, size)

    def _free(self, kind: str, size: int) -> None:
        self.now[kind] -= size


class DeviceGuard(LiveBytes):
    """Fails at an operation that reads a value on the host, or has a tensor on another device.

    No exception is made for scalars on the CPU that torch would take: numbers need no tensor.
    Unlike ``PretendedGpu`` it makes no device, and it lets gradients through.

    Attributes:
        operations: how many there were.
    """

    def __init__(self, device: torch.device | str, *given: Tensor) -> None:
        """Watch over ``device``; ``given`` tensors are there from the start."""
        super().__init__()
        self.kind = torch.device(device).type
        self.operations = 0
        for tensor in given:
            self._count(tensor)

    def operate(self, func: Any, args: Any, kwargs: Any) -> Any:
        name = func.overloadpacket.__name__
        assert name not in READS, f"{func} waits for the device"
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if name in ("index", "index_put", "index_put_", "_index_put_impl_"):
            masks = [t for t in inputs[1:] if t.dtype in (torch.bool, torch.uint8)]
            assert not masks, f"{func} with a mask waits for the device"
        made = super().operate(func, args, kwargs)
        outputs = [leaf for leaf in tree_leaves(made) if isinstance(leaf, Tensor)]
        for tensor in inputs + outputs:
            assert tensor.device.type == self.kind, f"{func} has a tensor on {tensor.device}"
        self.operations += 1
        return made


@contextmanager
def fake_gpu() -> Iterator[LiveBytes]:
    """A fake GPU as set_up_torch leaves a real one: with operations that repeat their bits."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        with torch.inference_mode(), FakeTensorMode(), LiveBytes() as live:
            yield live
    finally:
        torch.use_deterministic_algorithms(before)
