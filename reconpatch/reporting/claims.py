"""The paper's claims held against a suite's cells, and against the paper's own tables.

A claim is a sentence of the paper with checks, in ``config/claims.yaml``. A check compares figures
of tables, which are named as the paper names them, so that one file serves every suite.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import pandas as pd
from pydantic import Field

from reconpatch.reporting.formats import NOT_MEASURED
from reconpatch.reporting.table import CellValues, Results, cell_values, seeds_of
from reconpatch.reporting.verdicts import (
    Comparison,
    Estimate,
    Verdict,
    estimate,
    judge,
    together,
)
from reconpatch.settings.base import Settings
from reconpatch.suites.cells import Cell, cells
from reconpatch.suites.experiments import Metric, title
from reconpatch.suites.suite import Suite


class Other(Settings):
    """The figure that a check compares with, as far as it differs from the first."""

    table: str | None = None
    row: str | None = None
    column: str | None = None


class Check(Settings):
    """One comparison between figures.

    Attributes:
        kind: ``ahead`` (greater by more than ``by``), ``no worse`` (by ``by`` at least), ``level``
            (no further than ``by`` apart).
        table: the table of the first figure; its row and column are as the paper calls them.
        than: the other figure, or all others of the row or column: each must pass.
        by: in the figures' unit: points of AUROC.
        relative: whether ``by`` and the difference are shares of the other figure.
    """

    kind: Comparison
    table: str
    row: str
    column: str
    metric: Metric = "image_auroc"
    than: Other | Literal["other rows", "other columns"]
    by: float = 0.0
    relative: bool = False


class Claim(Settings):
    """A sentence of the paper that numbers decide: all checks must hold."""

    name: str
    says: str
    where: str
    checks: Annotated[tuple[Check, ...], Field(min_length=1)]
    note: str | None = None


@dataclass(frozen=True)
class Evidence:
    """A comparison that was made, or the reason why it could not be.

    Attributes:
        compared: the two figures in words.
        verdict: what it says of the claim; None where the suite leaves one of many values out.
        difference: the first figure less the other, as measured.
        printed: the same of the figures that the paper prints; None where it prints none.
        reason: why it is not tested.
    """

    compared: str
    check: Check
    verdict: Verdict | None
    difference: Estimate | None
    printed: float | None
    reason: str | None


@dataclass(frozen=True)
class Judged:
    """A claim with its evidence."""

    claim: Claim
    evidence: tuple[Evidence, ...]

    @property
    def verdict(self) -> Verdict:
        """What the measured figures say of it."""
        return together(found.verdict for found in self.evidence if found.verdict)

    @property
    def supported(self) -> bool | None:
        """Whether the figures that the paper prints say so; None where it prints none."""
        printed = [
            judge(found.check.kind, Estimate(*[found.printed] * 3), found.check.by)
            for found in self.evidence
            if found.printed is not None
        ]
        return set(printed) == {"holds"} if printed else None


def judge_claims(
    claims: tuple[Claim, ...], suite: Suite, results: Results, published: dict[str, pd.DataFrame]
) -> list[Judged]:
    """Return the verdict on each claim, from what a suite measured and from what the paper prints.

    Args:
        claims: the claims.
        suite: whose cells are looked at.
        results: what its runs left.
        published: the paper's tables as text, by name: ``row, column, metric, value``.
    """
    asked = {name: cells(suite, name) for name in suite.experiments.tables}
    return [
        Judged(
            claim,
            tuple(
                found
                for check in claim.checks
                for found in _evidence(check, asked, suite, results, published)
            ),
        )
        for claim in claims
    ]


CellName = tuple[str, str, str]
"""Table, row and column, as the paper calls them."""


def _evidence(
    check: Check,
    asked: dict[str, list[Cell]],
    suite: Suite,
    results: Results,
    published: dict[str, pd.DataFrame],
) -> Iterator[Evidence]:
    """Yield what a check finds: a comparison with each other figure, measured and as printed."""
    first: CellName = (check.table, check.row, check.column)
    printed = {
        (name, row, column): float(value)
        for name, table in published.items()
        for row, column, metric, value in table.itertuples(index=False)
        if metric == check.metric and pd.notna(value)
    }
    measured = {
        (name, *cell.paper): cell
        for name, of_table in asked.items()
        for cell in of_table
        if cell.metric == check.metric
    }
    others = _others(check, [*measured, *printed])
    among = not isinstance(check.than, Other) and any(other in measured for other in others)
    for other in others:
        # Of several others, those that the suite leaves out of its table are the paper's alone.
        left_out = among and other not in measured
        verdict, difference, reason = (
            (None, None, None)
            if left_out
            else _compare(check, (first, other), measured, suite, results)
        )
        papers = None
        if first in printed and other in printed:
            # Printed figures have two decimals, which doubles do not hold.
            papers = printed[first] - printed[other]
            papers = round(papers / printed[other] if check.relative else papers, 9)
        shown = _in_words(first, other, measured)
        yield Evidence(shown, check, verdict, difference, papers, reason)


def _others(check: Check, known: list[CellName]) -> list[CellName]:
    """The figures that the first is compared with."""
    first: CellName = (check.table, check.row, check.column)
    if isinstance(check.than, Other):
        than = check.than
        return [(than.table or check.table, than.row or check.row, than.column or check.column)]
    kept, moving = (1, 2) if check.than == "other columns" else (2, 1)
    beside = [p for p in known if p[0] == check.table and p[kept] == first[kept]]
    found = [place for place in dict.fromkeys(beside) if place[moving] != first[moving]]
    nothing: CellName = (check.table, *("others" if i == moving else first[i] for i in (1, 2)))  # type: ignore[assignment]
    return found or [nothing]


def _compare(
    check: Check,
    places: tuple[CellName, CellName],
    measured: dict[CellName, Cell],
    suite: Suite,
    results: Results,
) -> tuple[Verdict, Estimate | None, str | None]:
    """Compare two figures of a suite's: the verdict with the difference, or the reason."""
    found = []
    for table, row, column in places:
        where = f"{column}, {row} of {title(table)}"
        if table not in suite.experiments.tables:
            return "not tested", None, f"the suite has no {title(table)}"
        cell = measured.get((table, row, column))
        if cell is None:
            return "not tested", None, f"the suite does not run {where}"
        figure = cell_values(cell, seeds_of(suite, cell), results)
        if isinstance(figure, str):
            said = "not measured" if figure.startswith(NOT_MEASURED) else figure
            return "not tested", None, f"{where}: {said}"
        found.append(figure)
    difference = _difference(found[0], found[1], relative=check.relative)
    return judge(check.kind, difference, check.by), difference, None


def _difference(first: CellValues, other: CellValues, *, relative: bool) -> Estimate:
    found = first - other
    if relative:
        found = CellValues(found.by_seed / other.by_seed, found.replicates / other.replicates)
    return estimate(found.by_seed, found.replicates)


def _in_words(first: CellName, other: CellName, measured: dict[CellName, Cell]) -> str:
    """The two figures by what tells them apart, as the suite's tables call it."""
    shown = []
    for place in (first, other):
        cell = measured.get(place)
        shown.append((title(place[0]), *((cell.row, cell.column) if cell else place[1:])))
    differ = [i for i in range(3) if shown[0][i] != shown[1][i]] or [2]
    words = [", ".join(side[i] for i in sorted(differ, reverse=True)) for side in shown]
    where = [shown[0][i] for i in (0, 1, 2) if i not in differ]
    return f"{words[0]} less {words[1]}" + (f" ({', '.join(where)})" if where else "")
