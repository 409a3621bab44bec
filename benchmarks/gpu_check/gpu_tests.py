"""The tests that are marked ``gpu``, run in a process of their own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.gpu_check.check import Check, Outcome, Value
from benchmarks.gpu_check.setup import Setup

TESTS = Path(__file__).parents[2] / "tests"


def checks(setup: Setup) -> Iterator[Check]:
    """Run the tests; in a rehearsal they must all be skipped."""
    yield Check("pytest -m gpu", lambda: _tests(setup))


def _tests(setup: Setup) -> Outcome:
    # Collecting all the others would take longer than these run.
    files = [path for path in sorted(TESTS.rglob("test_*.py")) if "mark.gpu" in path.read_text()]
    record = setup.work / "gpu-tests.xml"
    asked = ["-m", "gpu", "-q", "-p", "no:cacheprovider", f"--junitxml={record}"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *asked, *map(str, files)],
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if not record.is_file():
        return Outcome(problem=f"pytest wrote no record: {(ran.stdout + ran.stderr)[-300:]}")
    return read_outcome(record)


def read_outcome(record: Path) -> Outcome:
    """Return how many tests passed, and the names of those that failed, from pytest's record."""
    cases = list(ElementTree.parse(record).iter("testcase"))
    failed = [
        str(case.get("name"))
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]
    skips = [skip for case in cases if (skip := case.find("skipped")) is not None]
    values: dict[str, Value] = {
        "passed": len(cases) - len(failed) - len(skips),
        "failed": len(failed),
        "skipped": len(skips),
    }
    if not cases:
        return Outcome(values, "there are no tests that are marked gpu")
    if failed:
        return Outcome(values, ", ".join(failed))
    if len(skips) == len(cases):
        return Outcome(values, skipped=", ".join(sorted({str(s.get("message")) for s in skips})))
    return Outcome(values)
