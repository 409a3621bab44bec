"""Graphs and streams as CUDA has them, on the CPU: what they may do, not how fast.

A graph holds the operations that were recorded, with the very tensors: whatever Python does beside
them, such as to count steps, is not repeated. Streams work through their queues in an order that is
drawn, as far as events leave it open, and the host runs ahead of both.
"""

import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


class CUDAGraph(TorchDispatchMode):
    """Records operations without lasting effect, and repeats them."""

    refuses: str | None = None
    """An operation that cannot be captured."""

    def __init__(self) -> None:
        super().__init__()
        self.replays = 0
        self._operations: list[tuple[Any, Sequence[Any], Mapping[str, Any], Any]] = []
        self._before: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func.overloadpacket.__name__ == self.refuses:
            raise RuntimeError("operation not permitted when stream is capturing\nand so on")
        for position, argument in enumerate(func._schema.arguments):
            if argument.alias_info and argument.alias_info.is_write:
                given = args[position] if position < len(args) else kwargs.get(argument.name)
                for tensor in _tensors(given):
                    self._before.setdefault(_place(tensor), (tensor, tensor.detach().clone()))
        found = func(*args, **kwargs)
        self._operations.append((func, args, kwargs, found))
        return found

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        with torch.no_grad():
            for tensor, before in self._before.values():
                tensor.copy_(before)

    @torch.no_grad()
    def replay(self) -> None:
        self.replays += 1
        for func, args, kwargs, found in self._operations:
            places = {_place(tensor) for tensor in _tensors((args, kwargs))}
            again = func(*args, **kwargs)
            for old, new in zip(_tensors(found), _tensors(again), strict=True):
                if _place(old) not in places:
                    old.copy_(new)


class Machine(TorchFunctionMode):
    """Two streams and what is queued on them; copies that do not block go to the current one.

    Attributes:
        taken: how much of the queues is done.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.draw = random.Random(seed)
        self.streams: list[Stream] = []
        self.main = self.current = Stream(self)
        self.taken = 0

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        if func is Tensor.copy_ and (kwargs or {}).get("non_blocking"):
            target, source = args
            self.current.do(lambda: target.copy_(source))
            return target
        return func(*args, **(kwargs or {}))

    def run(self, until: Callable[[], bool]) -> None:
        """Let the streams work, in any order, until something is so."""
        while not until():
            self.draw.choice([stream for stream in self.streams if stream.is_ready]).advance()
            self.taken += 1

    def finish(self) -> None:
        self.run(lambda: not any(stream.queue for stream in self.streams))

    @contextmanager
    def on(self, stream: "Stream") -> Iterator[None]:
        before, self.current = self.current, stream
        yield
        self.current = before


class Stream:
    """A queue of work; some of it waits for an event."""

    def __init__(self, machine: Machine) -> None:
        self.queue: deque[tuple[Callable[[], object], Callable[[], bool]]] = deque()
        machine.streams.append(self)

    @property
    def is_ready(self) -> bool:
        return bool(self.queue) and self.queue[0][1]()

    def advance(self) -> None:
        self.queue.popleft()[0]()

    def do(self, work: Callable[[], object]) -> None:
        self.queue.append((work, lambda: True))

    def wait_event(self, event: "Event") -> None:
        recorded = event.recorded
        self.queue.append((lambda: None, lambda: event.reached >= recorded))


class Event:
    """A mark in a stream's queue; each record is a new one."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.recorded, self.reached = machine, 0, 0

    def record(self, stream: Stream) -> None:
        self.recorded += 1
        mark = self.recorded
        stream.do(lambda: setattr(self, "reached", mark))

    def synchronize(self) -> None:
        mark = self.recorded
        self.machine.run(lambda: self.reached >= mark)


class Unordered:
    """A stream for work that runs at once."""

    def wait_stream(self, other: Self) -> None:
        pass


def pretend_graphs(monkeypatch: pytest.MonkeyPatch) -> list[CUDAGraph]:
    """Put recorded graphs in the place of CUDA's, and return those that are made."""
    made: list[CUDAGraph] = []

    def graph() -> CUDAGraph:
        made.append(CUDAGraph())
        return made[-1]

    monkeypatch.setattr(torch.cuda, "CUDAGraph", graph)
    monkeypatch.setattr(torch.cuda, "graph", lambda graph, stream: graph)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Unordered())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Unordered())
    monkeypatch.setattr(torch.cuda, "stream", contextmanager(lambda stream: iter([stream])))
    return made


def pretend_streams(monkeypatch: pytest.MonkeyPatch, seed: int) -> Machine:
    """Put the machine's streams in the place of CUDA's."""
    machine = Machine(seed)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream(machine))
    monkeypatch.setattr(torch.cuda, "Event", lambda: Event(machine))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: machine.main)
    monkeypatch.setattr(torch.cuda, "stream", machine.on)
    return machine
