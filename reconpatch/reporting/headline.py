"""The sentence that a report begins with: one comparison, from what was measured alone."""

from collections.abc import Sequence
from typing import Literal

from reconpatch.evaluation.multiple_tests import holm
from reconpatch.reporting.claims import Check, Evidence, Judged, Other
from reconpatch.reporting.formats import METRICS
from reconpatch.reporting.judging import evidence_of
from reconpatch.reporting.table import Results, seeds_of
from reconpatch.reporting.verdicts import ALPHA, detectable, p_text
from reconpatch.settings.base import Settings
from reconpatch.suites.cells import cells
from reconpatch.suites.suite import Place, Suite

NAMED = 5
"""Categories that the sentence names one by one; more are counted."""


class Compared(Settings):
    """Two columns of a table in one row, of whose values the first is said to be ahead or behind.

    Attributes:
        table: the table; its row and columns are as the paper calls them.
        than: the other column.
    """

    table: str
    row: str
    column: str
    than: str
    metric: Literal["image_auroc", "pixel_auroc"] = "image_auroc"


def headline(
    named: Sequence[Compared], judged: Sequence[Judged], suite: Suite, results: Results
) -> str:
    """Return the sentence, or why there is none.

    The comparison counts as one more claim: its p-value is corrected over itself and all claims.

    Args:
        named: comparisons, of which the first counts whose table the suite has.
        judged: the report's claims.
        suite: what was measured.
        results: what its runs left.
    """
    known = [compared for compared in named if compared.table in suite.experiments.tables]
    compared = (known or list(named))[0]
    table, row, metric = compared.table, compared.row, compared.metric
    check = Check(
        kind="ahead",
        table=table,
        row=row,
        column=compared.column,
        metric=metric,
        than=Other(column=compared.than),
    )
    asked = {name: cells(suite, name) for name in suite.experiments.tables}
    found = next(evidence_of(check, asked, suite, results, {}))
    if found.difference is None:
        return f"There is no headline: {found.reason}."
    by_name = {(*cell.paper, cell.metric): cell for cell in asked[table]}
    first, other = (by_name[row, column, metric] for column in (compared.column, compared.than))
    value = found.difference.value
    seeds = seeds_of(suite, table, first)
    facts = [
        _interval(found),
        str(found.categories or ""),
        f"seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else f"seed {seeds[0]} alone",
    ]
    return (
        f"On {_data(suite, first.places)}, {first.column} has {abs(value):.2f} points "
        f"{'less' if value < 0 else 'more'} {METRICS[metric].name} than {other.column} "
        f"({'; '.join(fact for fact in facts if fact)}){_decided(found, judged)}."
    )


def _data(suite: Suite, places: Sequence[Place]) -> str:
    """The categories by name, or their number if they are many, with their data sets."""
    sources = {dataset.id: dataset.source.dataset for dataset in suite.datasets}
    by_source: dict[str, list[str]] = {}
    for place in places:
        by_source.setdefault(sources[place.dataset], []).append(place.category.replace("_", " "))
    named = [
        f"{_listed(names) if len(places) <= NAMED else f'{len(names)} categories'} of {source}"
        for source, names in by_source.items()
    ]
    return ("the average of " if len(places) > 1 else "") + _listed(named)


def _listed(names: Sequence[str]) -> str:
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last


def _interval(found: Evidence) -> str:
    difference = found.difference
    if difference is None or difference.low is None or difference.high is None:
        return "no interval"
    return f"95 % interval {difference.low:+.2f} to {difference.high:+.2f}"


def _decided(found: Evidence, judged: Sequence[Judged]) -> str:
    """The corrected verdict, with both p-values, and what would have been told if nothing was."""
    if found.p is None or found.difference is None:
        return ", and which is ahead cannot be told"
    family = holm([found.p, *(claim.p for claim in judged if claim.p is not None)])
    corrected = family[0]
    compared = f"{len(family)} comparison{'s' if len(family) > 1 else ''}"
    both = f"({p_text(found.p)}; {p_text(corrected)} after Holm's correction over {compared})"
    if corrected < ALPHA:
        return f" and is {'ahead' if found.raw == 'holds' else 'behind'} {both}"
    least = detectable(found.difference, ALPHA / sum(p >= ALPHA for p in family))
    return (
        f", and which is ahead cannot be told {both}; a difference of {least:.2f} points or more "
        "would have shown"
    )
