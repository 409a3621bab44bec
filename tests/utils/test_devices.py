import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from reconpatch.utils.devices import set_up_torch
from reconpatch.utils.errors import InputError
from reconpatch.utils.gpu import take_gpu
from reconpatch.utils.provenance import provenance

ROOT = Path(__file__).parents[2]
JOB = """
import sys
from pathlib import Path
from reconpatch.utils.gpu import take_gpu

folder, *names = sys.argv[1:]
print(names[take_gpu(names, Path(folder))], flush=True)
sys.stdin.read()
"""


class Job:
    """A process that takes one of some pretended GPUs, and has it until it ends."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", JOB, str(folder), *names],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def gpu(self) -> str:
        """What it got, waited for."""
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def says(self) -> str:
        """The first line that it complains with, waited for."""
        assert self.process.stderr
        return self.process.stderr.readline()

    def end(self, how: int = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.communicate()


def test_jobs_at_once_have_each_a_gpu_of_its_own_and_one_more_waits_for_a_free_one(
    tmp_path: Path,
) -> None:
    jobs = [Job(tmp_path, "a", "b", "c") for _ in range(3)]
    late = None
    try:
        got = [job.gpu() for job in jobs]
        assert sorted(got) == ["a", "b", "c"]
        late = Job(tmp_path, "a", "b", "c")
        assert "other processes have a, b, c" in late.says()
        assert late.process.poll() is None
        # Killed jobs free theirs as well.
        jobs[1].end(signal.SIGKILL)
        assert late.gpu() == got[1]
    finally:
        for job in (*jobs, *filter(None, [late])):
            job.end()


def test_a_gpu_is_known_by_its_name_whatever_a_job_sees_beside_it(tmp_path: Path) -> None:
    """As CUDA_VISIBLE_DEVICES has it: the second job numbers its only GPU 0, as the first does."""
    first, second = Job(tmp_path, "a", "b"), None
    try:
        assert first.gpu() == "a"
        second = Job(tmp_path, "a")
        assert "other processes have a" in second.says()
    finally:
        for job in filter(None, [first, second]):
            job.end()


def test_a_process_keeps_the_gpu_that_it_has(tmp_path: Path) -> None:
    assert take_gpu(["b"], tmp_path) == 0
    assert take_gpu(["a", "b", "c"], tmp_path) == 1


@pytest.mark.parametrize(("precision", "allowed"), [("highest", False), ("high", True)])
def test_tf32_is_off_unless_it_is_asked_for(precision: str, allowed: bool) -> None:
    before = torch.backends.cudnn.allow_tf32
    try:
        set_up_torch("cpu", torch.get_num_threads(), precision)
        assert torch.backends.cudnn.allow_tf32 == allowed
        assert torch.backends.cuda.matmul.allow_tf32 == allowed
        # A CPU has nothing to do with it.
        assert provenance(torch.device("cpu"))["matrix_precision"] == "highest"
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = before


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_named_with_what_to_take() -> None:
    for device in ("cuda", "cuda:1"):
        with pytest.raises(
            InputError, match=f"Device {device} is not to be had .*take cpu or auto"
        ):
            set_up_torch(device, torch.get_num_threads())
