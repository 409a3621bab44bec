"""Mini-batches are the rows that the order names, wherever the patches lie."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from reconpatch.representation import patch_reader as module
from reconpatch.representation.patch_reader import (
    HostReader,
    PatchReader,
    ResidentReader,
    StreamingReader,
    patch_reader,
)
from tests.representation.pretended_cuda import pretend_streams

CPU = torch.device("cpu")


def drawn(dtype: type = np.float32) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(50, 6)).astype(dtype), rng.permutation(48).reshape(6, 8)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("reader", [HostReader, lambda flat: ResidentReader(flat, CPU)])
def test_mini_batches_are_rows_as_they_are_stored(
    dtype: type, reader: Callable[[npt.NDArray[np.floating]], PatchReader]
) -> None:
    flat, order = drawn(dtype)
    batches = [batch.numpy() for batch in reader(flat).epoch(order)]
    assert batches[0].dtype == dtype
    np.testing.assert_array_equal(batches, flat[order])


def test_patches_are_copied_to_a_device_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    flat, _ = drawn()
    monkeypatch.setattr(module, "BLOCK", 7 * flat[0].nbytes)
    assert torch.equal(ResidentReader(flat, CPU).patches, torch.from_numpy(flat))


@pytest.mark.parametrize("seed", range(20))
def test_copies_beside_the_steps_never_overtake_them(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In whatever order two streams and the host come to their work; a step is one read here."""
    machine = pretend_streams(monkeypatch, seed)
    flat, order = drawn()
    seen: list[Tensor] = []
    with machine:
        reader = StreamingReader(flat, 8, CPU)
        for _ in range(2):
            for batch in reader.epoch(order):
                machine.main.do(lambda batch=batch: seen.append(batch.clone()))
        machine.finish()
    np.testing.assert_array_equal(torch.stack(seen), flat[np.tile(order, (2, 1))])


def test_the_host_is_two_mini_batches_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = pretend_streams(monkeypatch, seed=0)
    flat, order = drawn()
    with machine:
        batches = StreamingReader(flat, 8, CPU).epoch(order)
        next(batches), next(batches)
        assert machine.taken == 0
        next(batches)
        assert machine.taken > 0


def test_patches_that_leave_no_room_for_the_training_stay_on_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flat, _ = drawn()
    cuda = torch.device("cuda")
    monkeypatch.setattr(module, "StreamingReader", lambda flat, batch_size, device: "streaming")
    monkeypatch.setattr(module, "ResidentReader", lambda flat, device: "resident")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1500, 9000))
    # Of what torch has reserved, the part without arrays is free too.
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 700)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 200)
    room = int(module.SHARE * 2000) - flat.nbytes
    assert patch_reader(flat, 8, cuda, beside=room, on_gpu=True) == "resident"
    assert patch_reader(flat, 8, cuda, beside=room + 1, on_gpu=True) == "streaming"


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_a_large_category_is_read_on_a_pretended_gpu() -> None:
    """1.4 million patches, as WRN-101 at 480 px has them; the order goes there once an epoch."""
    flat = np.broadcast_to(np.float16(0), (1_400_000, 1536))
    order = np.arange(3 * 1024).reshape(3, 1024)
    with FakeTensorMode(allow_non_fake_inputs=True):
        reader = ResidentReader(flat, torch.device("cuda"))
        for batch in reader.epoch(order):
            assert (batch.device.type, batch.dtype) == ("cuda", torch.float16)
            assert batch.shape == (1024, 1536)


def test_streamed_mini_batches_arrive_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = pretend_streams(monkeypatch, 0)
    flat, order = drawn()
    with machine:
        batches = list(StreamingReader(flat, 8, torch.device("meta")).epoch(order))
        machine.finish()
    assert {(batch.device.type, batch.shape) for batch in batches} == {("meta", (8, 6))}
