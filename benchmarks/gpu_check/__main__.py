"""Check the suite on a GPU and write the report: ``python -m benchmarks.gpu_check``."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from benchmarks.gpu_check import (
    demo,
    detection,
    detection_speed,
    features,
    gpu_tests,
    refinement,
    training,
    training_speed,
)
from benchmarks.gpu_check.check import Section, run_section
from benchmarks.gpu_check.machine import machine
from benchmarks.gpu_check.report import REHEARSAL, write_report
from benchmarks.gpu_check.setup import CPU, FULL, SMALL, Setup
from benchmarks.measure import console
from reconpatch.utils.devices import set_up_torch
from reconpatch.utils.errors import InputError

# Eight minutes in all.
TESTS = Section("Tests that need a GPU", gpu_tests.checks, 60)
SECTIONS = (
    Section("Features: the GPU beside the CPU", features.agreement_checks, 45),
    Section("Training: the GPU beside the CPU", training.checks, 60),
    Section("Detection: the GPU beside the CPU", detection.checks, 45),
    Section("Refinement: the GPU beside the CPU", refinement.agreement_checks, 30),
    Section("A training step", training_speed.checks, 45),
    Section("Coreset and scoring", detection_speed.checks, 60),
    Section("Images through the backbones", features.speed_checks, 60),
    Section("A refinement step", refinement.speed_checks, 25),
    Section("The demo, to metrics", demo.checks, 50),
)


def main() -> int:
    """Run all sections and return the exit status: 1 if a check failed."""
    arguments = _arguments()
    rehearsal, threads = arguments.rehearse, arguments.threads
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="reconpatch-gpu-check-") as work:
        if not rehearsal:
            # Before any other work, so that a machine without a GPU is told at once. The GPU is not
            # yet this process's own: the tests' process must get it first.
            _require_gpu()
        setup = Setup(CPU, SMALL if rehearsal else FULL, Path(work), threads)
        lines = run_section(TESTS, setup)
        device = set_up_torch("cpu" if rehearsal else "cuda", threads)
        setup = Setup(device, setup.sizes, setup.work, threads)
        for section in SECTIONS:
            lines += run_section(section, setup)
        about = machine(setup)
    seconds = time.perf_counter() - begun
    write_report(arguments.output, lines, about, seconds, rehearsal=rehearsal)
    failed = [line for line in lines if line.status == "failed"]
    console.rule()
    for line in failed:
        console.print(f"failed: {line.section}: {line.what}: {line.note}", markup=False)
    console.print(
        f"{len(lines) - len(failed)} of {len(lines)} checks without a failure, in "
        f"{seconds / 60:.1f} minutes; the report is in {arguments.output}"
    )
    if rehearsal:
        console.print(REHEARSAL)
    return 1 if failed else 0


def _require_gpu() -> None:
    import torch

    if not torch.cuda.is_available():
        raise InputError(
            "torch finds no GPU here. reconpatch doctor says what this machine has; --rehearse "
            "walks the checks on a CPU."
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.gpu_check", description=__doc__)
    parser.add_argument(
        "--rehearse",
        action="store_true",
        help="walk the checks on a CPU with small sizes; its outcome says nothing of a GPU",
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads")
    parser.add_argument("--output", type=Path, default=Path("reports/gpu-check"))
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as error:
        Console(stderr=True, highlight=False).print(f"Error: {error}", style="red", markup=False)
        sys.exit(2)
