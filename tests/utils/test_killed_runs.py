"""Locks and orphans of killed runs, with real processes."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from reconpatch.utils.killed_runs import RUNS, take_over

RUN = """
import sys, time
from pathlib import Path
from reconpatch.utils.killed_runs import take_over
folder = Path.cwd()
for line in take_over(folder):
    print(line)
(folder / ".snakemake" / "locks").mkdir(exist_ok=True)
(folder / ".snakemake" / "locks" / "0.output.lock").touch()
print("locked", flush=True)
time.sleep(60)
"""


def start(folder: Path) -> "subprocess.Popen[str]":
    run = subprocess.Popen(
        [sys.executable, "-c", RUN], cwd=folder, stdout=subprocess.PIPE, text=True
    )
    assert run.stdout
    assert "locked" in run.stdout.readline()
    return run


def locks(folder: Path) -> list[Path]:
    return list((folder / ".snakemake" / "locks").glob("*.lock"))


def test_a_killed_runs_lock_is_taken_away_and_a_living_ones_stays(tmp_path: Path) -> None:
    run = start(tmp_path)
    assert take_over(tmp_path) == []
    assert locks(tmp_path)
    run.kill()
    run.wait()
    # This process is a run too, by now.
    (note,) = (tmp_path / ".snakemake" / RUNS).glob(f"*-{os.getpid()}.json")
    note.unlink()
    assert "An earlier run was killed" in take_over(tmp_path)[0]
    assert locks(tmp_path) == []
    assert [path.name for path in note.parent.iterdir()] == [note.name]


@pytest.mark.parametrize("other", [{"host": "elsewhere"}, {}])
def test_a_lock_that_another_machine_or_nobody_knows_stays(
    tmp_path: Path, other: dict[str, str]
) -> None:
    """Without a note it is that of a run which notes nothing."""
    (tmp_path / ".snakemake" / "locks").mkdir(parents=True)
    (tmp_path / ".snakemake" / "locks" / "0.input.lock").touch()
    if other:
        (tmp_path / ".snakemake" / RUNS).mkdir()
        note = {"host": platform.node(), "pid": 1, "started": 0.0, **other}
        (tmp_path / ".snakemake" / RUNS / "other.json").write_text(json.dumps(note))
    assert take_over(tmp_path) == []
    assert locks(tmp_path)


def test_a_number_that_another_process_has_by_now_holds_no_lock(tmp_path: Path) -> None:
    run = start(tmp_path)
    run.kill()
    run.wait()
    (note,) = (tmp_path / ".snakemake" / RUNS).iterdir()
    content = json.loads(note.read_text())
    note.write_text(json.dumps({**content, "pid": os.getppid()}))
    assert take_over(tmp_path)
    assert locks(tmp_path) == []


def test_a_note_that_is_none_holds_no_lock(tmp_path: Path) -> None:
    run = start(tmp_path)
    run.kill()
    run.wait()
    (note,) = (tmp_path / ".snakemake" / RUNS).iterdir()
    note.write_text("{")
    assert take_over(tmp_path)
    assert locks(tmp_path) == []


def test_jobs_that_outlive_their_run_are_named(tmp_path: Path) -> None:
    step = tmp_path / "reconpatch"
    step.write_text("import time; time.sleep(60)")
    spawn = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, sys.argv[1]]);"
        "print(p.pid, flush=True)"
    )
    made = subprocess.Popen(
        [sys.executable, "-c", spawn, step], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    assert made.stdout
    orphan = int(made.stdout.readline())
    made.wait()
    try:
        time.sleep(0.2)
        (told,) = take_over(tmp_path)
        assert told.endswith(f"to end them: kill {orphan}")
    finally:
        os.kill(orphan, signal.SIGKILL)
    until = time.monotonic() + 10
    while psutil.pid_exists(orphan) and time.monotonic() < until:
        time.sleep(0.05)
    assert take_over(tmp_path) == []
