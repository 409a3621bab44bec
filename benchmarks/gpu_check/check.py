"""A check, its outcome, and the loop that runs a section of them."""

import gc
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from benchmarks.gpu_check.setup import Setup
from benchmarks.measure import console

ROOT = Path(__file__).parents[2]
Value = float | int | str | None


@dataclass(frozen=True)
class Outcome:
    """What a check found.

    Attributes:
        values: by what they are called in the report.
        problem: why the check failed; None where it passed.
        skipped: why it was not made; None where it was.
    """

    values: dict[str, Value] = field(default_factory=dict)
    problem: str | None = None
    skipped: str | None = None


class Check(NamedTuple):
    """A piece of work and what the report calls it."""

    what: str
    work: Callable[[], Outcome]


class Section(NamedTuple):
    """Checks that stand in one table.

    Attributes:
        title: the table's.
        checks: makes them; what takes time belongs into their work, so that it fails alone.
        budget: seconds that they should take on one large GPU.
    """

    title: str
    checks: Callable[[Setup], Iterator[Check]]
    budget: int


@dataclass(frozen=True)
class Line:
    """A check's line in the report."""

    section: str
    what: str
    status: Literal["passed", "failed", "skipped"]
    values: dict[str, Value]
    note: str | None
    seconds: float


def run_section(section: Section, setup: Setup) -> list[Line]:
    """Run a section's checks; where one fails, the others go on.

    A check's warnings stand in its note, as one may say that the GPU did not do what it should.
    """
    console.rule(section.title)
    begun = time.perf_counter()
    lines = []
    for check in section.checks(setup):
        lines.append(_line(section.title, check))
        _show(lines[-1])
        if setup.on_gpu:
            # What a failed check held is free for the next.
            gc.collect()
            torch.cuda.empty_cache()
    seconds = time.perf_counter() - begun
    console.print(f"{len(lines)} checks in {seconds:.0f} s; planned for a GPU: {section.budget} s")
    return lines


def _line(section: str, check: Check) -> Line:
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default", UserWarning)
        try:
            outcome = check.work()
        except Exception as error:
            message = " ".join(str(error).split())[:400]
            outcome = Outcome(problem=f"{type(error).__name__}: {message} ({_place(error)})")
    notes = [outcome.problem or outcome.skipped]
    notes += [str(warning.message) for warning in caught if warning.category is UserWarning]
    status: Literal["passed", "failed", "skipped"] = "passed"
    if outcome.problem:
        status = "failed"
    elif outcome.skipped:
        status = "skipped"
    note = "; ".join(dict.fromkeys(note for note in notes if note)) or None
    seconds = time.perf_counter() - start
    return Line(section, check.what, status, outcome.values, note, seconds)


def _place(error: Exception) -> str:
    """The last line of the suite's own code on the way to the error."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if Path(f.filename).is_relative_to(ROOT)]
    # An environment may lie within the folder.
    own = [frame for frame in own if "site-packages" not in frame.filename] or list(frames)
    path = Path(own[-1].filename)
    return f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}:{own[-1].lineno}"


def _show(line: Line) -> None:
    style = {"passed": "green", "failed": "bold red", "skipped": "yellow"}[line.status]
    console.print(f"  [{style}]{line.status}[/] {line.what}, {line.seconds:.1f} s")
    if line.status != "passed" and line.note:
        console.print(f"    {line.note}", markup=False)
