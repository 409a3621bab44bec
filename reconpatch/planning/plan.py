"""The plan: what a suite will take, counted and printed."""

import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from reconpatch.planning.recorded_time import Record, Remaining, read_records, remaining_work
from reconpatch.planning.space import feature_bytes, kept_bytes, peak_memory, pool_bytes
from reconpatch.planning.workload import Workload, count_work
from reconpatch.suites.runs import timed_runs
from reconpatch.suites.suite import Suite

ORIGINS = {
    "inspected": "as inspected",
    "listed": "as they lie there",
    "published": "as published, the images are not here",
}


def print_plan(suite: Suite, results: Path, reports: Path, *, on_gpu: bool) -> None:
    """Count a suite, and print what it will take.

    Raises:
        InputError: a category's images are neither here nor published, or a backbone cannot give
            the maps it is asked for.
    """
    console = Console()
    with Console(file=sys.stderr).status("Counting"):
        workload = count_work(suite, results)
        records = read_records(results, on_gpu=on_gpu)
        remaining = _other_rules(workload, results, reports)
        remaining |= remaining_work(workload, results, records)
    done = sum((results / "runs" / run.id / "metrics.json").is_file() for run in workload.runs)
    images = sum(images.train + images.test for images in workload.images.values())
    origins = sorted({ORIGINS[images.origin] for images in workload.images.values()})
    console.print(f"[bold]{suite.name}[/]: {suite.title}")
    console.print(
        f"Unique runs: {len(workload.runs)}, of which done: {done}. "
        f"Categories: {len(workload.images)}. Images: {images} ({', '.join(origins)})."
    )
    console.print()
    console.print(_jobs(workload, remaining))
    console.print(_device(records, on_gpu=on_gpu))
    for part in (_parts(workload), _disk(workload), _memory(workload, on_gpu=on_gpu)):
        console.print()
        console.print(part)
    if on_gpu:
        # It takes torch's operations, which the rest of the plan does without.
        from reconpatch.planning.hours import expected_hours

        console.print()
        # The table folds into nonsense on less.
        Console(width=max(console.width, 125)).print(expected_hours(workload))


def _other_rules(workload: Workload, results: Path, reports: Path) -> dict[str, Remaining]:
    """Return what is left of the rules that record no seconds."""
    suite, folder = workload.suite, reports / workload.suite.name
    roots = [d.source.root for d in suite.datasets if d.source.layout == "demo"]
    timed = [results / "runs" / run.id / "inference.json" for run in timed_runs(suite)]
    done = {
        "demo": all(root and root.is_dir() for root in roots),
        "inspect": sum(images.origin == "inspected" for images in workload.images.values()),
        "time_inference": all(path.is_file() for path in timed),
        "figure": sum((folder / "figures" / f"{n}.png").is_file() for n in workload.figures),
        "report": (folder / "report.html").is_file(),
    }
    return {
        rule: Remaining(done=int(done[rule]), unknown=jobs - done[rule])
        for rule, jobs in workload.jobs.items()
        if rule in done
    }


def _jobs(workload: Workload, remaining: dict[str, Remaining]) -> Table:
    table = Table("rule", box=None)
    for column in ("jobs", "done", "time left"):
        table.add_column(column, justify="right")
    total = Remaining()
    for rule, jobs in workload.jobs.items():
        left = remaining[rule]
        table.add_row(rule, str(jobs), str(left.done), _time(left))
        total.done += left.done
        total.seconds += left.seconds
        total.unknown += left.unknown
    table.add_section()
    table.add_row("total", str(sum(workload.jobs.values())), str(total.done), _time(total))
    return table


def _time(left: Remaining) -> str:
    clock = str(timedelta(seconds=round(left.seconds)))
    if not left.unknown:
        return clock
    jobs = f"{left.unknown} job{'s' * (left.unknown > 1)} unknown"
    return f"at least {clock}, {jobs}" if left.seconds else jobs


def _device(records: list[Record], *, on_gpu: bool) -> str:
    where = "a GPU" if on_gpu else "a CPU"
    if not records:
        return f"Time is unknown: no finished work on {where} has recorded any."
    return (
        f"Time by what finished work recorded on {records[0].device}, one job after another. "
        "Work that was finished nowhere is unknown."
    )


def _parts(workload: Workload) -> Table:
    parts = {
        "representations learned": workload.learned,
        "methods fitted": workload.works,
        "training images scored": workload.members,
        "ensembles": workload.ensembles,
        "refinements": workload.refinements,
    }
    table = Table("of measure", box=None)
    table.add_column("number", justify="right")
    for part, works in parts.items():
        if works:
            table.add_row(part, str(len(works)))
    return table


def _disk(workload: Workload) -> Table:
    sizes = {extraction: feature_bytes(workload, extraction) for extraction in workload.extractions}
    kept = kept_bytes(workload)
    kinds: Counter[str] = Counter()
    for files in (*sizes.values(), kept):
        kinds.update(files)
    table = Table("disk", box=None)
    table.add_column("bytes", justify="right")
    for kind, size in kinds.items():
        table.add_row(kind, _size(size))
    table.add_section()
    table.add_row("total", _size(kinds.total()))
    if workload.refinements:
        largest = max(pool_bytes(workload, run) for run in workload.refinements)
        table.add_row("for a while, a refined run's simulated images", _size(largest))
    if not workload.suite.keep_features:
        by_category: Counter[tuple[str, str]] = Counter()
        for extraction, files in sizes.items():
            by_category[extraction.dataset, extraction.category] += files["patch features"]
        left = kept.total() + kinds["masks"]
        at_once = left + max(by_category.values())
        table.add_row("at a time, a category after another", _size(at_once))
        table.add_row("at the end", _size(left))
    return table


def _memory(workload: Workload, *, on_gpu: bool) -> str:
    jobs = [(peak_memory(work, on_gpu=on_gpu), work) for work in workload.works]
    peak, work = max(jobs, key=lambda job: job[0].total)
    where = _size(peak.total)
    if on_gpu:
        where = f"{_size(peak.mapped)} and {_size(peak.working)} on the GPU"
    return (
        f"Largest job: measure on {work.run.category}, at {work.recipe.method} with "
        f"{work.recipe.features.backbone}: {where} beside Python and its libraries, of which "
        f"{_size(peak.mapped)} are features mapped from disk."
    )


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
