"""The plan: a suite's work times what its units cost, and how it is printed."""

import os
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from reconpatch.evaluation.inference_time import ITERATIONS, WARM_UPS
from reconpatch.planning.costs import measure
from reconpatch.planning.space import feature_bytes, kept_bytes, peak_memory
from reconpatch.planning.units import Costs, RecipeCosts
from reconpatch.planning.workload import RefinementWork, Workload, count_work
from reconpatch.suites import Suite
from reconpatch.utils.provenance import device_name

ORIGINS = {
    "inspected": "as inspected",
    "listed": "as they lie there",
    "published": "as published, the images are not here",
}


def expected_seconds(workload: Workload, costs: Costs) -> dict[str, float]:
    """Return the seconds of each rule's jobs together, from no results on.

    Not counted: what Snakemake itself takes, the weights' reading or download, disks too slow to
    keep up, and of figures and report what is not UMAP or anomaly maps: seconds each.
    """
    starts = {"demo": costs.light_start, "inspect": costs.light_start}
    starts |= {"figure": costs.reporting_start, "report": costs.reporting_start}
    seconds = {rule: jobs * starts.get(rule, costs.start) for rule, jobs in workload.jobs.items()}
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
        count = images.test + (images.train if "train" in settings.splits else 0)
        seconds["extract"] += costs.building[settings.features]
        seconds["extract"] += count * costs.images[dataset, settings]
    seconds["measure"] += sum(part for _, part in measured_parts(workload, costs).values())
    for work in workload.timed:
        cost = costs.recipes[work.recipe]
        image = costs.forward[work.recipe.features] + cost.map
        image += work.patches.an_image * cost.representation
        image += _scoring(cost, work.patches.an_image, work.bank)
        seconds["time_inference"] += costs.building[work.recipe.features]
        seconds["time_inference"] += (WARM_UPS + ITERATIONS) * image
    for panels in workload.embeddings.values():
        seconds["figure"] += costs.umap_start + panels * costs.embedding
    for name, works in workload.figures.items():
        # The best threshold is sought among all pixels, much as a run's metrics are.
        if workload.suite.experiments.figures[name].draws == "maps":
            seconds["figure"] += sum(
                _evaluation(costs.recipes[work.recipe], work.maps) for work in works
            )
    return seconds


def measured_parts(workload: Workload, costs: Costs) -> dict[str, tuple[int, float]]:
    """Return what the jobs of ``measure`` do: how often, and the seconds of all together.

    A coreset is selected once for all runs of a batch that differ in its size alone; an ensemble
    has its members' training images scored, each by a memory bank of its own.
    """
    parts = {
        "trainings": (
            len(workload.trainings),
            sum(work.steps * costs.recipes[work.recipe].step for work in workload.trainings),
        )
    }
    seconds = 0.0
    for work in workload.selections:
        cost = costs.recipes[work.recipe]
        seconds += work.train_patches * cost.representation
        seconds += work.bank * cost.coreset(work.train_patches)
    parts["coresets"] = len(workload.selections), seconds
    seconds = 0.0
    for work in workload.works:
        cost = costs.recipes[work.recipe]
        seconds += work.test_patches * cost.representation
        seconds += _scoring(cost, work.test_patches, work.bank)
    parts["scorings"] = len(workload.works), seconds
    seconds = sum(_evaluation(costs.recipes[work.recipe], work.maps) for work in workload.works)
    parts["evaluations"] = len(workload.works), seconds
    seconds = 0.0
    for work in workload.members:
        cost = costs.recipes[work.recipe]
        seconds += work.train_patches * cost.representation
        seconds += work.images.train * _scoring(cost, work.patches.an_image, work.bank)
    for run in workload.ensembles:
        members = [workload.work(member) for member in run.members]
        seconds += sum(work.images.test * costs.recipes[work.recipe].map for work in members)
        if maps := members[0].maps:
            seconds += costs.recipes[members[0].recipe].evaluation(maps)
    parts["ensembles"] = len(workload.ensembles), seconds
    seconds = sum(_refinement(work, costs) for work in workload.refinements)
    parts["refinements"] = len(workload.refinements), seconds
    return {part: (count, seconds) for part, (count, seconds) in parts.items() if count}


def _refinement(refined: RefinementWork, costs: Costs) -> float:
    """Seconds of scoring the simulated images, training the network, and measuring its maps.

    Drawing the simulated images, milliseconds each, is left out.
    """
    first = refined.members[0]
    step, image = costs.refinements[refined.settings, first.recipe.features.crop]
    seconds = refined.steps * step + first.images.test * image
    for work in refined.members:
        cost = costs.recipes[work.recipe]
        seconds += costs.building[work.recipe.features]
        seconds += refined.simulated * (
            costs.forward[work.recipe.features]
            + work.patches.an_image * cost.representation
            + _scoring(cost, work.patches.an_image, work.bank)
        )
    return seconds + _evaluation(costs.recipes[first.recipe], first.maps)


def _scoring(cost: RecipeCosts, patches: int, bank: int) -> float:
    """Seconds of some patches' scores."""
    return (patches + min(patches, bank)) * cost.scoring(bank)


def _evaluation(cost: RecipeCosts, maps: int) -> float:
    """Seconds of a run's maps and metrics; without masks there are none that would count."""
    return maps * cost.map + cost.evaluation(maps) if maps else 0.0


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
    console.print(_parts(workload, costs))
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


def _parts(workload: Workload, costs: Costs) -> Table:
    table = Table("of measure", box=None)
    table.add_column("number", justify="right")
    table.add_column("expected time", justify="right")
    for part, (count, seconds) in measured_parts(workload, costs).items():
        table.add_row(part, str(count), _clock(seconds))
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
        largest = max(work.pool_bytes for work in workload.refinements)
        table.add_row("for a while, a refined run's simulated images", _size(largest))
    if not workload.suite.keep_features:
        by_category: Counter[tuple[str, str]] = Counter()
        for extraction, files in sizes.items():
            if extraction not in workload.drawn_from:
                by_category[extraction.dataset, extraction.category] += files["patch features"]
        drawn = sum(sizes[extraction]["patch features"] for extraction in workload.drawn_from)
        left = kept.total() + kinds["masks"]
        at_once = left + drawn + max(by_category.values(), default=0)
        # The rules' priorities use up the features that are here before more are made; those that
        # a figure reads stay until it is drawn.
        table.add_row("at a time, a category after another", _size(at_once))
        table.add_row("at the end", _size(left))
    return table


def _memory(workload: Workload, costs: Costs, device: torch.device) -> str:
    on_gpu = device.type == "cuda"
    jobs = [(peak_memory(work, on_gpu=on_gpu), work) for work in workload.works]
    peak, work = max(jobs, key=lambda job: job[0].total)
    held = costs.started_bytes + peak.mapped
    where = f"{_size(held + peak.working)}"
    if on_gpu:
        where = f"{_size(held)} and {_size(peak.working)} on the GPU"
    return (
        f"Largest job: measure on {work.run.category}, at {work.recipe.method} with "
        f"{work.recipe.features.backbone}: {where}, of which {_size(peak.mapped)} are features "
        "mapped from disk."
    )


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
