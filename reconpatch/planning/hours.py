"""Expected hours on named cards, with the sum's terms and the assumptions behind them."""

from collections import Counter

from rich.console import Group, RenderableType
from rich.table import Table

from reconpatch.planning.gpu_time import (
    GPU,
    Assumptions,
    assumptions,
    cards,
    gpu_seconds,
    host_seconds,
)
from reconpatch.planning.suite_work import Part, suite_work
from reconpatch.planning.workload import Workload

FORMULA = (
    "Hours of a part = max(launches x s, replays x s + FLOPs / (share x peak) + bytes / "
    "(share x bandwidth)) + host. A card's column has what the card takes; host is the same for "
    "all: decoding, disk, copies to the GPU, and what is computed on the CPU. Nothing is taken to "
    "overlap."
)
NOT_COUNTED = (
    "Not counted: what inspect, time measurements, figures and the report do once they run. Work "
    "that is done already counts as well."
)


def expected_hours(workload: Workload) -> RenderableType:
    """Return the table of a suite's expected hours, and in short lines what they rest on."""
    given, parts = assumptions(), suite_work(workload)
    without = sorted({work.recipe.method for work in workload.works if not work.counter})
    notes = [FORMULA, NOT_COUNTED, _without_graphs(parts, given)]
    if without:
        notes.append(f"Nor methods that do not count their work: {', '.join(without)}.")
    tables = (_given(given), "", _cards())
    return Group(_hours(parts, given), "", _host(parts, given), "", *notes, "", *tables)


def _hours(parts: dict[str, Part], given: Assumptions) -> Table:
    table = Table("expected hours", box=None)
    kernels = ("launches, M", "replays, M")
    names = (card.name for card in cards())
    for column in ("number", *kernels, "TFLOP", "FP64", "GB", "host", *names):
        table.add_column(column, justify="right")
    totals = [0.0] * (1 + len(cards()))
    for name, part in parts.items():
        if not part.count:
            continue
        work = part.work
        seconds = [host_seconds(work, given), *(gpu_seconds(work, c, given) for c in cards())]
        hours = [each / 3600 for each in seconds]
        totals = [total + each for total, each in zip(totals, hours, strict=True)]
        table.add_row(
            name,
            str(part.count),
            f"{work['launches'] / 1e6:,.2f}",
            f"{work['replays'] / 1e6:,.2f}",
            f"{work['FLOPs'] / 1e12:,.1f}",
            f"{work['FP64 FLOPs'] / 1e12:,.1f}",
            f"{work['bytes'] / 1e9:,.0f}",
            *(f"{each:.2f}" for each in hours),
        )
    host, *on_cards = totals
    table.add_section()
    table.add_row("together", *[""] * 6, *(f"{each:.2f}" for each in totals))
    table.add_row("with the host's", *[""] * 7, *(f"{host + each:.2f}" for each in on_cards))
    return table


def _host(parts: dict[str, Part], given: Assumptions) -> Table:
    """Of each part what the host does, in the units of the assumptions."""
    table = Table("of which the host", "unit", box=None)
    for column in ("count", "hours"):
        table.add_column(column, justify="right")
    for name, part in parts.items():
        for unit in sorted(part.work.keys() - GPU):
            count = part.work[unit]
            hours = host_seconds(Counter({unit: count}), given) / 3600
            table.add_row(name, unit, f"{count:,.0f}", f"{hours:.3f}")
    return table


def _without_graphs(parts: dict[str, Part], given: Assumptions) -> str:
    """What the parts with CUDA graphs take where each of their kernels is launched."""
    seconds = [0.0] * len(cards())
    for part in parts.values():
        if part.work["replays"]:
            work = Counter(part.work)
            work["launches"] += work.pop("replays")
            seconds = [
                s + gpu_seconds(work, c, given) for s, c in zip(seconds, cards(), strict=True)
            ]
    hours = ", ".join(f"{s / 3600:.2f}" for s in seconds)
    return f"With cuda_graph: off, what is replayed here takes the cards {hours} hours."


def _given(given: Assumptions) -> Table:
    table = Table("assumption", box=None)
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("where from")
    for name, assumed in given.items():
        table.add_row(name, f"{assumed.value:g}", assumed.unit, assumed.source)
    return table


def _cards() -> Table:
    table = Table("card", box=None)
    for column in ("FP32 TFLOP/s", "FP64 TFLOP/s", "GB/s"):
        table.add_column(column, justify="right")
    table.add_column("where from")
    for card in cards():
        rates = (card.flops / 1e12, card.double_flops / 1e12, card.bandwidth / 1e9)
        table.add_row(card.name, *(f"{rate:g}" for rate in rates), card.source)
    return table
