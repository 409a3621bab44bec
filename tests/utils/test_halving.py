import subprocess
import sys

import pytest
import torch

from reconpatch import cli
from reconpatch.utils.errors import InputError
from reconpatch.utils.halving import Blocks

REFUSAL = (
    "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 23.69 GiB of "
    "which 11.05 GiB is free. Including non-PyTorch memory, this process has ..."
)


class Allocator:
    """Work that doubles rows, and has memory for so many at once."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.tried: list[int] = []

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        self.tried.append(len(rows))
        if len(rows) > self.most:
            raise torch.cuda.OutOfMemoryError(REFUSAL)
        return 2 * rows


@pytest.mark.parametrize("most", [1, 3, 7, 50])
@pytest.mark.parametrize("count", [0, 1, 20, 33])
def test_memory_that_does_not_do_halves_the_blocks_and_leaves_the_numbers(
    most: int, count: int
) -> None:
    rows, work = torch.arange(count), Allocator(most)
    found = list(Blocks(16)(work, rows))
    assert torch.equal(torch.cat([rows[:0], *found]), 2 * rows)
    # It is halved a few times in all, and not once a block.
    assert sum(tried > most for tried in work.tried) <= 4


def test_what_was_learnt_of_the_memory_is_kept_for_the_next_rows() -> None:
    blocks, work = Blocks(16), Allocator(5)
    for _ in range(3):
        assert torch.equal(torch.cat(list(blocks(work, torch.ones(16)))), 2 * torch.ones(16))
    assert work.tried == [16, 8] + 12 * [4]


def test_one_row_that_does_not_fit_is_told_with_what_it_needed_and_what_there_was() -> None:
    with pytest.raises(InputError) as refused:
        list(Blocks(8)(Allocator(0), torch.ones(9)))
    told = str(refused.value)
    assert "\n" not in told
    for said in ("Tried to allocate 20.00 GiB", "which 11.05 GiB is free.", "device=cpu"):
        assert said in told
    assert "non-PyTorch" not in told


def test_a_step_that_runs_out_of_memory_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def step() -> None:
        raise torch.cuda.OutOfMemoryError(REFUSAL)

    monkeypatch.setattr(cli, "app", step)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("Error: CUDA out of memory. Tried to allocate 20.00 GiB.")
    assert "which 11.05 GiB is free." in told


PROGRAM = """
import resource, sys
import numpy as np
import torch
from reconpatch import cli
from reconpatch.utils.halving import Blocks

pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 2**29
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

def copies(rows):
    # 64 MiB a row, in numpy or in torch; 512 MiB are left.
    count = 2**26 * len(rows)
    if sys.argv[1] == "numpy":
        return np.ones(count, np.uint8)[:1].copy()
    return torch.ones(count, dtype=torch.uint8)[:1].clone()

def work():
    rows = torch.ones(int(sys.argv[2]))
    blocks = Blocks(16)
    print(len(list(blocks(copies, rows))), blocks.size)

cli.app = work if sys.argv[3] == "halves" else lambda: copies(range(30))
cli.main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_processs_own_memory_limit_is_kept_to_and_told(library: str) -> None:
    """A real limit: the blocks are halved until they fit; what cannot be halved is told."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-c", PROGRAM, library, *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    halved = run("16", "halves")
    assert halved.returncode == 0, halved.stderr
    blocks, size = map(int, halved.stdout.split())
    assert blocks * size == 16
    assert size < 16
    whole = run("16", "whole")
    assert whole.returncode == 2
    (told,) = whole.stderr.splitlines()
    assert told.startswith("Error: Memory ran out: Unable to allocate 1")
    assert "--cores" in told
