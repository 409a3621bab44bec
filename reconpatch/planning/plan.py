"""The plan: a suite's work times what its units cost, and how it is printed."""

import os
import sys
from collections import Counter, defaultdict
from datetime import timedelta
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from reconpatch.planning.costs import measure
from reconpatch.planning.space import feature_bytes, peak_memory, run_bytes
from reconpatch.planning.units import Costs
from reconpatch.planning.workload import Workload, count_work
from reconpatch.provenance import device_name
from reconpatch.suite import Suite

ORIGINS = {
    "inspected": "as inspected",
    "listed": "as they lie there",
    "published": "as published, the images are not here",
}


def expected_seconds(workload: Workload, costs: Costs) -> dict[str, float]:
    """Return the seconds of each rule's jobs together, from no results on.

    Not counted: what Snakemake itself takes, the weights' reading or download, and disks too slow
    to keep up.
    """
    seconds = defaultdict(float)
    for rule, jobs in workload.jobs.items():
        light = rule in ("demo", "inspect")
        seconds[rule] = jobs * (costs.light_start if light else costs.start)
    if "demo" in seconds:
        seconds["demo"] += costs.drawing * sum(
            images.train + images.test
            for dataset in workload.suite.datasets
            if dataset.source.layout == "demo"
            for (of, _), images in workload.images.items()
            if of == dataset.id
        )
    for (dataset, _), images in workload.images.items():
        seconds["inspect"] += (images.train + images.test) * costs.inspection[dataset]
    for dataset, category, settings in workload.extractions:
        images = workload.images[dataset, category]
        seconds["extract"] += costs.building[settings]
        seconds["extract"] += (images.train + images.test) * costs.images[dataset, settings]
    for run in workload.runs:
        work, cost = workload.work(run), costs.recipes[run.recipe]
        if work.steps:
            seconds["train"] += work.steps * cost.step
        seconds["detect"] += (
            (work.train_patches + work.test_patches) * cost.representation
            + work.bank * cost.coreset(work.train_patches)
            + (work.test_patches + work.bank) * cost.scoring(work.bank)
        )
        seconds["evaluate"] += work.maps * cost.map
    return dict(seconds)


def print_plan(suite: Suite, results: Path, device: torch.device, threads: int) -> None:
    """Count a suite, measure its units on this machine, and print what it will take.

    Args:
        suite: the suite.
        results: the folder of all results.
        device: where the units are measured.
        threads: the CPU threads of a job.

    Raises:
        InputError: a category's images are neither here nor published, or a backbone cannot give
            the maps it is asked for.
    """
    console = Console()
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    # The measured functions' own progress bars are caught with sys.stderr; this one is not.
    with Console(file=sys.stderr).status("Counting") as status:
        workload = count_work(suite, results)
        costs = measure(workload, device, threads, lambda what: status.update(f"Measuring {what}"))
    done = sum((results / "runs" / run.id / "metrics.json").is_file() for run in workload.runs)
    images = sum(images.train + images.test for images in workload.images.values())
    origins = sorted({ORIGINS[images.origin] for images in workload.images.values()})
    console.print(f"[bold]{suite.name}[/]: {suite.title}")
    console.print(
        f"Unique runs: {len(workload.runs)}, of which done: {done}. "
        f"Categories: {len(workload.images)}. Images: {images} ({', '.join(origins)})."
    )
    console.print()
    console.print(_time(workload, costs))
    console.print()
    console.print(_disk(workload))
    console.print()
    console.print(_memory(workload, costs, device))
    console.print(f"Measured on {device_name(device)}; from no results on, one job after another.")
    if load > cores / 2:
        console.print(
            f"The machine was busy (load {load:.1f} on {cores} cores): an idle one is faster, on a "
            "CPU often several times."
        )


def _time(workload: Workload, costs: Costs) -> Table:
    seconds = expected_seconds(workload, costs)
    table = Table("rule", box=None)
    table.add_column("jobs", justify="right")
    table.add_column("expected time", justify="right")
    for rule, jobs in workload.jobs.items():
        table.add_row(rule, str(jobs), _clock(seconds[rule]))
    table.add_section()
    table.add_row("total", str(sum(workload.jobs.values())), _clock(sum(seconds.values())))
    return table


def _disk(workload: Workload) -> Table:
    folders = [feature_bytes(workload, extraction) for extraction in workload.extractions]
    kinds: Counter[str] = Counter()
    for files in (*folders, *(run_bytes(workload, run) for run in workload.runs)):
        kinds.update(files)
    table = Table("disk", box=None)
    table.add_column("bytes", justify="right")
    for kind, size in kinds.items():
        table.add_row(kind, _size(size))
    table.add_section()
    table.add_row("total", _size(kinds.total()))
    if not workload.suite.keep_features:
        largest = max(sum(files.values()) for files in folders)
        kept = kinds.total() - kinds["patch features"] - kinds["masks"]
        # The rules' priorities use up the features that are here before more are made.
        table.add_row("at a time, one job after another", _size(kept + largest))
        table.add_row("at the end", _size(kept))
    return table


def _memory(workload: Workload, costs: Costs, device: torch.device) -> str:
    on_gpu = device.type == "cuda"
    jobs = [(peak_memory(workload, run, on_gpu=on_gpu), run) for run in workload.runs]
    peak, run = max(jobs, key=lambda job: job[0].total)
    held = costs.started_bytes + peak.mapped
    where = f"{_size(held + peak.working)}"
    if on_gpu:
        where = f"{_size(held)} and {_size(peak.working)} on the GPU"
    return (
        f"Largest job: detect on {run.category}, {run.recipe.method} with "
        f"{run.recipe.features.backbone}: {where}, of which {_size(peak.mapped)} are features "
        "mapped from disk."
    )


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
