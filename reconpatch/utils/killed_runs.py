"""What runs of the workflow left that were killed: Snakemake's locks, and jobs that live on."""

import atexit
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from reconpatch.utils.files import write_json

RUNS = "reconpatch-runs"
"""The folder below ``.snakemake`` where each run notes its process while it lasts."""


def take_over(folder: Path) -> list[str]:
    """Note this process as a run in ``folder``, take away locks that nobody holds, name orphans.

    Snakemake locks what it makes, and a run that is killed leaves its lock. Where all runs that are
    noted were on this machine and are gone, the locks are theirs. A run on another machine that
    shares the folder may still hold them: those stay, and Snakemake refuses.

    Returns:
        What to tell, a line each.
    """
    runs, locks = folder / ".snakemake" / RUNS, folder / ".snakemake" / "locks"
    noted = {path: _note(path) for path in runs.glob("*.json")}
    gone = [path for path, note in noted.items() if not _may_run(note)]
    told = []
    held = list(locks.glob("*.lock"))
    if held and gone and len(gone) == len(noted):
        for lock in held:
            lock.unlink(missing_ok=True)
        told.append("An earlier run was killed: its lock is taken away, and the work goes on.")
    for path in gone:
        path.unlink(missing_ok=True)
    if orphans := list(_orphans(folder)):
        numbers = " ".join(str(orphan.pid) for orphan in orphans)
        told.append(
            f"{len(orphans)} jobs of a killed run still work here. What they finish is whole, but "
            f"may be done twice; to end them: kill {numbers}"
        )
    mine = runs / f"{platform.node()}-{os.getpid()}.json"
    write_json(
        mine,
        {
            "host": platform.node(),
            "pid": os.getpid(),
            "started": psutil.Process().create_time(),
        },
    )
    atexit.register(mine.unlink, missing_ok=True)
    return told


def _note(path: Path) -> dict[str, Any]:
    try:
        note = json.loads(path.read_text())
        return {name: note[name] for name in ("host", "pid", "started")}
    except (OSError, ValueError, KeyError, TypeError):
        # It was not written by a run.
        return {"host": platform.node(), "pid": -1, "started": 0.0}


def _may_run(note: dict[str, Any]) -> bool:
    if note["host"] != platform.node():
        return True
    try:
        # A process that has its number by now began at another time.
        started: float = psutil.Process(note["pid"]).create_time()
    except (psutil.Error, ValueError):
        return False
    return bool(abs(started - note["started"]) < 1)


def _orphans(folder: Path) -> Iterator[psutil.Process]:
    """Processes of steps in ``folder`` that no Snakemake stands above."""
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            step = any(Path(part).name == "reconpatch" for part in command[:3])
            if step and Path(process.cwd()) == folder and not _below_snakemake(process):
                yield process
        except psutil.Error:
            continue


def _below_snakemake(process: psutil.Process) -> bool:
    return any(
        "snakemake" in Path(part).name
        for above in process.parents()
        for part in above.cmdline()[:3]
    )
