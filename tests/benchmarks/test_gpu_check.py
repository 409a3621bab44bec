"""The GPU check where there is no GPU: rehearsed whole, and part of it on a pretended one."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
import torch

from benchmarks.gpu_check import detection, features, refinement, training
from benchmarks.gpu_check.__main__ import main
from benchmarks.gpu_check.check import Check, Line, Outcome, Section, run_section
from benchmarks.gpu_check.compare import agreement, choices, worst
from benchmarks.gpu_check.gpu_tests import read_outcome
from benchmarks.gpu_check.report import write_report
from benchmarks.gpu_check.setup import CPU, FULL, SMALL, Setup
from reconpatch.features.presets import presets
from reconpatch.utils.errors import InputError
from tests.conftest import ROOT
from tests.devices import CUDA, PretendedGpu

SECTIONS = {
    "Tests that need a GPU",
    "Features: the GPU beside the CPU",
    "Training: the GPU beside the CPU",
    "Detection: the GPU beside the CPU",
    "Refinement: the GPU beside the CPU",
    "A training step",
    "Coreset and scoring",
    "Images through the backbones",
    "A refinement step",
    "The demo, to metrics",
}
ABOUT: dict[str, Any] = {"device": "a card", "versions": {"torch": "0"}, "packages": []}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there the check itself can run")
def test_a_rehearsal_walks_every_section_and_cannot_be_taken_for_a_gpus(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu_check", "--rehearse", "--threads", "1"]
    ran = subprocess.run(
        [*command, "--output", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "rehearsal on a CPU" in ran.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"rehearsal.json", "rehearsal.md"}
    content = json.loads((tmp_path / "rehearsal.json").read_text())
    assert content["rehearsal"] is True
    assert "nothing in it says anything of a GPU" in content["caution"]
    assert content["caution"] in (tmp_path / "rehearsal.md").read_text()
    assert content["machine"]["device"].startswith("CPU")
    lines = content["lines"]
    assert {line["section"] for line in lines} == SECTIONS
    # What alone a GPU can show.
    skipped = {line["what"]: line["note"] for line in lines if line["status"] == "skipped"}
    assert skipped.pop("pytest -m gpu") == "needs a GPU"
    assert set(skipped) <= {"nearest neighbours by faiss-gpu"}
    for line in lines:
        assert line["status"] in ("passed", "skipped")
        assert line["values"] or line["status"] == "skipped", line
    (demo,) = (line for line in lines if line["what"] == "ReConPatch")
    assert demo["values"]["image_auroc"] == demo["values"]["image_auroc_cpu"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_check_itself_says_so_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu_check", "--output", str(tmp_path)])
    with pytest.raises(InputError, match="torch finds no GPU here"):
        main()
    assert not list(tmp_path.iterdir())


def test_on_a_gpu_every_backbone_is_checked() -> None:
    assert set(FULL.backbones) == set(presets())
    assert FULL.extraction == {224: 64, 320: 31, 480: 13}


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(CUDA, replace(SMALL, backbones=("efficientnet_lite0",)), tmp_path, 1)


@pytest.mark.skipif(hasattr(faiss, "StandardGpuResources"), reason="faiss-gpu wants a real GPU")
@pytest.mark.parametrize(
    ("section", "count"),
    [
        (detection.checks, 12),
        (features.agreement_checks, 5),
        (training.checks, 4),
        (refinement.agreement_checks, 2),
    ],
)
def test_the_checks_bring_to_the_gpu_what_belongs_there(
    section: Any, count: int, setup: Setup
) -> None:
    """All but what needs a GPU's memory, or gradients, which the pretended one lacks."""
    outcomes = {}
    with torch.inference_mode(), PretendedGpu():
        for check in section(setup):
            if not any(word in check.what for word in ("in halves", "steps", "gradient")):
                outcomes[check.what] = check.work()
    assert len(outcomes) == count
    assert not [what for what, outcome in outcomes.items() if outcome.problem]


def section_of(*works: Any) -> Section:
    def checks(setup: Setup) -> Iterator[Check]:
        for number, work in enumerate(works):
            yield Check(str(number), work)

    return Section("some", checks, 1)


def test_where_a_check_fails_its_line_says_why_and_the_others_go_on(tmp_path: Path) -> None:
    def breaks() -> Outcome:
        torch.ones(2) @ torch.ones(3)
        return Outcome()

    found = run_section(
        section_of(breaks, lambda: Outcome({"ms": 1.0}), lambda: Outcome(problem="too far")),
        Setup(CPU, SMALL, tmp_path, 1),
    )
    assert [line.status for line in found] == ["failed", "passed", "failed"]
    assert found[0].note is not None
    assert re.fullmatch(
        r"RuntimeError: .+ \(tests/benchmarks/test_gpu_check\.py:\d+\)", found[0].note
    )
    assert found[2].note == "too far"


def test_a_report_of_a_gpu_has_its_numbers_and_its_failures(tmp_path: Path) -> None:
    lines = [
        Line("Speed", "step", "passed", {"ms": 2.5, "peak_mib": 1234.5}, None, 3.0),
        Line("Speed", "graph", "failed", {}, "not captured", 0.5),
    ]
    write_report(tmp_path, lines, ABOUT, 66, rehearsal=False)
    content = json.loads((tmp_path / "gpu-check.json").read_text())
    assert content["passed"] is False
    assert content["rehearsal"] is False
    text = (tmp_path / "gpu-check.md").read_text()
    assert "1 checks passed, 1 failed, 0 were skipped, in 1.1 minutes." in text
    assert "| step | passed | 2.5 | 1,234 | 3.0 s |" in text
    assert "- graph (failed): not captured" in text
    assert "rehearsal" not in text


def test_numbers_agree_within_their_limit_and_not_beyond() -> None:
    expected = np.array([3.0, 4.0])
    within = agreement(np.add(expected, [0, 0.004]), expected, 1e-3)
    assert within.problem is None
    assert within.values["relative"] == pytest.approx(0.0008)
    beyond = agreement(np.add(expected, [0, 0.006]), expected, 1e-3)
    assert beyond.problem == "the relative difference 0.0012 is above 0.001"
    assert agreement(np.add(expected, [0, 0.006]), expected, 1e-3, scale=60.0).problem is None
    assert agreement(np.array([3.0, np.nan]), expected, 1.0).problem
    assert agreement(expected[:1], expected, 1.0).problem
    assert agreement(np.zeros(2), np.zeros(2), 0.1).problem is None
    assert worst([beyond, within]).values == beyond.values
    assert worst([beyond, within]).problem == beyond.problem
    assert choices(torch.tensor([1, 2, 3, 4]), torch.tensor([1, 2, 3, 5]), 0.75).problem is None
    assert choices(torch.tensor([1, 2, 3, 4]), torch.tensor([1, 2, 3, 5]), 0.8).problem


@pytest.mark.parametrize(
    ("cases", "status", "says"),
    [
        ("<testcase name='a'/><testcase name='b'/>", "passed", None),
        ("<testcase name='a'/><testcase name='b'><failure/></testcase>", "failed", "b"),
        ("<testcase name='a'><skipped message='no GPU'/></testcase>", "skipped", "no GPU"),
        ("", "failed", "there are no tests that are marked gpu"),
    ],
)
def test_the_outcome_of_the_tests_is_a_line(
    cases: str, status: str, says: str | None, tmp_path: Path
) -> None:
    record = tmp_path / "tests.xml"
    record.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    outcome = read_outcome(record)
    assert (outcome.problem or outcome.skipped) == says
    assert bool(outcome.problem) == (status == "failed")
    assert bool(outcome.skipped) == (status == "skipped")
