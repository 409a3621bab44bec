"""The rows of the benchmark, and how they are shown: terminal, CSV, Markdown."""

import os
import platform
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd
import torch
from rich.table import Table

from benchmarks.measure import LONG, Measured
from benchmarks.plan import Plan
from reconpatch.utils.files import atomic_write
from reconpatch.utils.provenance import provenance

COLUMNS = ("what", "ours_s", "other", "other_s", "ratio", "ours_peak_mib", "other_peak_mib")


@dataclass(frozen=True)
class Row:
    """Ours beside another.

    Attributes:
        what: the work.
        ours: our time and memory.
        other: the other code, or the part of our own work that is measured alone.
        theirs: the time and memory of that.
        overhead: whether the other is a part of our own work; the ratio is then ours over it.
        goal: the ratio to reach: at most this for an overhead, at least this for a peer.
    """

    what: str
    ours: Measured
    other: str
    theirs: Measured
    overhead: bool = False
    goal: float | None = None

    @property
    def another(self) -> str:
        """The other, with the direction of the ratio if it is not the usual one."""
        return self.other + (" (ratio: ours over this)" if self.overhead else "")

    @property
    def ratio(self) -> float:
        """Their time over ours; for an overhead, ours over theirs."""
        ratio = self.theirs.median / self.ours.median
        return 1 / ratio if self.overhead else ratio

    @property
    def verdict(self) -> str:
        """The goal, and whether the ratio reached it."""
        if self.goal is None:
            return ""
        reached = self.ratio <= self.goal if self.overhead else self.ratio >= self.goal
        limit = "at most" if self.overhead else "at least"
        return f"{limit} {self.goal:g}: {'reached' if reached else 'missed'}"


@dataclass
class Findings:
    """The results of a section of the benchmark: rows, and notes on them."""

    title: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def table(rows: list[Row]) -> pd.DataFrame:
    """Return the rows with the columns ``COLUMNS``."""
    return pd.DataFrame(
        [
            (
                row.what,
                float(f"{row.ours.median:.4g}"),
                row.another,
                float(f"{row.theirs.median:.4g}"),
                round(row.ratio, 2),
                _mib(row.ours.peak_mib),
                _mib(row.theirs.peak_mib),
            )
            for row in rows
        ],
        columns=list(COLUMNS),
    ).astype({"ours_peak_mib": "Int64", "other_peak_mib": "Int64"})


def write_csv(rows: list[Row], path: Path) -> None:
    """Write the rows as CSV, whole or not at all."""
    with atomic_write(path) as aside:
        table(rows).to_csv(aside, index=False)


def terminal_table(rows: list[Row]) -> Table:
    """Return the rows as a table for a terminal of 80 columns."""
    shown = Table(title="Ours beside others: median times, growth of resident memory")
    for heading in ("", "ours", "other", "ratio", "goal", "MiB"):
        shown.add_column(
            heading,
            justify="left" if heading in ("", "goal") else "right",
            no_wrap=heading not in ("", "goal"),
        )
    shown_last = ""
    for what, ours, other, theirs, ratio, goal, our_mib, their_mib in _cells(rows):
        if what != shown_last:
            shown.add_section()
            shown.add_row(f"[bold]{what}[/]", ours, "", "", "", our_mib)
            shown_last = what
        shown.add_row(f"  {other}", "", theirs, ratio, goal, their_mib)
    return shown


def write_markdown(findings: list[Findings], plan: Plan, minutes: float, path: Path) -> None:
    """Write the report, whole or not at all."""
    rows = [row for finding in findings for row in finding.rows]
    record = provenance(torch.device("cpu"))
    versions = {**record["versions"], **_versions("faiss-cpu", "anomalib")}
    headings = ("what", "ours", "other", "takes", "ratio", "goal", "ours MiB", "other MiB", "runs")
    lines = [
        "# Ours beside others",
        "",
        f"Plan {plan.name}, {minutes:.1f} minutes. {processor()}, {os.cpu_count()} cores, "
        f"{torch.get_num_threads()} threads, {platform.system()}, no GPU used. Commit "
        f"{record['commit'] or 'unknown'}.",
        "",
        ", ".join(f"{name} {number}" for name, number in versions.items()) + ".",
        "",
        "Times are medians over the given number of runs (ours / other), all in one process and in "
        f"turns, after a first run that does not count; work of more than {LONG:g} seconds runs "
        "once. Memory is the peak growth of the process's resident set during the first run. The "
        "ratio is the other's time over ours. Where it says *ours over this*, the other is a part "
        "of our own work, and the ratio is our time over that part's.",
        "",
        *markdown_lines(
            headings,
            [
                (*cells, f"{len(row.ours.seconds)} / {len(row.theirs.seconds)}")
                for cells, row in zip(_cells(rows), rows, strict=True)
            ],
        ),
    ]
    for finding in findings:
        lines += ["", f"## {finding.title}", "", *"\n\n".join(finding.notes).split("\n")]
    with atomic_write(path) as aside:
        aside.write_text("\n".join(lines) + "\n")


def markdown_table(frame: pd.DataFrame) -> str:
    """Return a frame of strings as a Markdown table."""
    rows = [tuple(row) for row in frame.to_numpy()]
    return "\n".join(markdown_lines(tuple(frame.columns), rows))


def markdown_lines(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [headings, ("---",) * len(headings), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _cells(rows: list[Row]) -> list[tuple[str, ...]]:
    """What, ours, other, takes, ratio, goal, our MiB, their MiB, in words."""
    return [
        (
            row.what,
            _seconds(row.ours.median),
            row.another,
            _seconds(row.theirs.median),
            f"{row.ratio:.2f}",
            row.verdict,
            *("" if m.peak_mib is None else f"{m.peak_mib:.0f}" for m in (row.ours, row.theirs)),
        )
        for row in rows
    ]


def _seconds(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _mib(mib: float | None) -> int | None:
    return None if mib is None else round(mib)


def _versions(*names: str) -> dict[str, str]:
    versions = {}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def processor() -> str:
    """Return the processor's name, as far as the system says."""
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
