"""Claims as the report page shows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from reconpatch.reporting.claims import Evidence, Judged
from reconpatch.reporting.formats import METRICS
from reconpatch.reporting.page.table_view import signed
from reconpatch.reporting.verdicts import p_text

HALF = 92
"""Of a drawn line: units from zero to either end."""


@dataclass(frozen=True)
class EvidenceView:
    """A comparison as text, units included, and as a line from ``-reach`` to ``reach``."""

    found: Evidence
    reach: float
    measured: str | None
    interval: str | None
    paper: str | None
    chance: str | None
    categories: str | None
    detectable: str | None

    @classmethod
    def of(cls, found: Evidence, reach: float) -> Self:
        """Return the view of a comparison."""
        relative, difference = found.check.relative, found.difference
        unit = METRICS[found.check.metric].unit
        unit = " %" if relative else {"%": " points", "": ""}.get(unit, f" {unit}")

        def text(value: float) -> str:
            return signed(100 * value if relative else value).partition(" ")[2]

        measured = interval = None
        if difference is not None:
            measured = text(difference.value) + unit
            if difference.low is not None and difference.high is not None:
                interval = f"{text(difference.low)} to {text(difference.high)}"
        paper = None
        if found.printed is not None:
            paper = ("paper " if found.comparable else "paper, own data ") + text(found.printed)
            paper += unit
        chance = categories = detectable = None
        if found.p is not None and found.corrected is not None:
            chance = _both(found.p, "corrected", found.corrected)
        if found.categories:
            categories = f"{found.categories} (sign test {p_text(found.categories.p)})"
        if found.detectable is not None:
            size = text(found.detectable).lstrip("+") + unit
            by = found.check.by
            bound = ("±" + text(by).lstrip("+") if found.check.kind == "level" else text(by)) + unit
            what = (
                f"a difference that passes {bound} by {size}" if by else f"a difference of {size}"
            )
            detectable = f"{what} or more would have shown"
        return cls(found, reach, measured, interval, paper, chance, categories, detectable)

    @property
    def spoken(self) -> str:
        """The drawn line in words."""
        parts = {"measured ": self.measured, "interval ": self.interval, "": self.paper}
        said = ", ".join(f"{name}{value}" for name, value in parts.items() if value)
        return f"{self.found.compared}: {said}"

    def x(self, value: float) -> float:
        """Return where a difference lies on a line of 200 units, no further out than its ends."""
        return round(100 + HALF * max(-1.0, min(1.0, value / self.reach)), 1)


@dataclass(frozen=True)
class ClaimView:
    """A claim with its verdict, the anchor that names it, and its evidence drawn to one scale."""

    anchor: str
    judged: Judged
    rows: list[EvidenceView]

    @property
    def chance(self) -> str | None:
        """The claim's p-values: over its own checks, and corrected over all claims."""
        if self.judged.p is None or self.judged.corrected is None:
            return None
        return _both(self.judged.p, "over all claims", self.judged.corrected)


def _both(p: float, said: str, corrected: float) -> str:
    """A p-value and its corrected form, neither of which a narrow page breaks."""
    second = p_text(corrected).removeprefix("p ").removeprefix("= ")
    return ", ".join((p_text(p), f"{said} {second}")).replace(" ", "\N{NO-BREAK SPACE}")


def claim_views(judged: Sequence[Judged]) -> list[ClaimView]:
    """Return claims as the page shows them, in their order."""
    return [
        ClaimView(f"claim-{number}", each, _rows(each.evidence))
        for number, each in enumerate(judged, 1)
    ]


def _rows(evidence: Sequence[Evidence]) -> list[EvidenceView]:
    ends = [found.check.by for found in evidence]
    for found in evidence:
        if found.comparable:
            ends += [found.printed or 0]
        if found.difference:
            ends += [found.difference.value, found.difference.low or 0, found.difference.high or 0]
    reach = max(abs(end) for end in ends) or 1.0
    return [EvidenceView.of(found, reach) for found in evidence]
