"""Claims held against a suite's cells, and against the paper's own tables."""

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from reconpatch.reporting.claims import Categories, Check, Claim, Evidence, Judged, Other
from reconpatch.reporting.comparable import is_comparable
from reconpatch.reporting.correction import over_checks, over_claims
from reconpatch.reporting.formats import NOT_MEASURED
from reconpatch.reporting.table import CellValues, Results, cell_values, seeds_of
from reconpatch.reporting.verdicts import Estimate, estimate, judge, p_value
from reconpatch.suites.cells import Cell, cells
from reconpatch.suites.experiments import title
from reconpatch.suites.suite import Suite


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
    return over_claims(
        [
            (
                claim,
                over_checks(
                    [
                        found
                        for check in claim.checks
                        for found in evidence_of(check, asked, suite, results, published)
                    ]
                ),
            )
            for claim in claims
        ]
    )


CellName = tuple[str, str, str]
"""Table, row and column, as the paper calls them."""


def evidence_of(
    check: Check,
    asked: dict[str, list[Cell]],
    suite: Suite,
    results: Results,
    published: dict[str, pd.DataFrame],
) -> Iterator[Evidence]:
    """Yield what a check finds: a comparison with each other value, measured and as printed.

    Args:
        check: the comparison.
        asked: the cells of the suite's tables.
        suite: whose cells they are.
        results: what its runs left.
        published: the paper's tables as text, by name.
    """
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
        papers = None
        if first in printed and other in printed:
            # Printed figures have two decimals, which doubles do not hold.
            papers = printed[first] - printed[other]
            papers = round(papers / printed[other] if check.relative else papers, 9)
        found = Evidence(_in_words(first, other, measured), check, None, None, papers, None)
        if not left_out:
            found = _compared(found, (first, other), measured, suite, results)
        yield found


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


def _compared(
    found: Evidence,
    places: tuple[CellName, CellName],
    measured: dict[CellName, Cell],
    suite: Suite,
    results: Results,
) -> Evidence:
    """Return evidence with what a suite's two values say, or why it is not tested."""
    check = found.check
    sides: list[Cell] = []
    for table, row, column in places:
        where = f"{column}, {row} of {title(table)}"
        if table not in suite.experiments.tables:
            return replace(found, raw="not tested", reason=f"the suite has no {title(table)}")
        cell = measured.get((table, row, column))
        if cell is None:
            return replace(found, raw="not tested", reason=f"the suite does not run {where}")
        sides.append(cell)
    seeds = _shared_seeds(suite, places, sides)
    values = [cell_values(cell, seeds, results) for cell in sides]
    first, other = values
    for (table, row, column), missing in zip(places, values, strict=True):
        if isinstance(missing, str):
            said = "not measured" if missing.startswith(NOT_MEASURED) else missing
            reason = f"{column}, {row} of {title(table)}: {said}"
            return replace(found, raw="not tested", reason=reason)
    assert isinstance(first, CellValues)
    assert isinstance(other, CellValues)
    difference = _difference(first, other, relative=check.relative)
    return replace(
        found,
        comparable=all(is_comparable(suite, cell) for cell in sides),
        difference=difference,
        raw=judge(check.kind, difference, check.by),
        p=p_value(check.kind, difference, check.by),
        categories=None if check.kind == "level" else _categories(sides, seeds, results),
    )


def _shared_seeds(
    suite: Suite, places: tuple[CellName, CellName], sides: list[Cell]
) -> tuple[int, ...]:
    """The seeds that both values have: differences are taken seed by seed."""
    first, other = (
        seeds_of(suite, table, cell) for (table, _, _), cell in zip(places, sides, strict=True)
    )
    return tuple(seed for seed in first if seed in other)


def _categories(sides: list[Cell], seeds: tuple[int, ...], results: Results) -> Categories | None:
    """The categories that the first cell wins, ties and loses; None unless both show several."""
    places = sides[0].places
    if len(places) < 2 or places != sides[1].places:
        return None
    outcomes = []
    for place in places:
        pair = [cell_values(replace(cell, places=(place,)), seeds, results) for cell in sides]
        means = [
            round(float(side.by_seed.mean()), 2) for side in pair if isinstance(side, CellValues)
        ]
        if len(means) == 2:
            outcomes.append((means[0] > means[1]) - (means[0] < means[1]))
    return Categories(*(outcomes.count(outcome) for outcome in (1, 0, -1)))


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
