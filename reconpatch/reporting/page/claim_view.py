"""Claims as the report page shows them."""

from collections.abc import Sequence
from dataclasses import dataclass

from reconpatch.reporting.claims import Claim, Evidence, Judged
from reconpatch.reporting.formats import METRICS
from reconpatch.reporting.page.table_view import signed
from reconpatch.reporting.verdicts import Estimate, Verdict

HALF = 92
"""Of a drawn line: units from zero to either end."""


@dataclass(frozen=True)
class EvidenceView:
    """A comparison as text, and as a line from ``-reach`` to ``reach``."""

    found: Evidence
    reach: float

    @property
    def compared(self) -> str:
        """The two figures in words."""
        return self.found.compared

    @property
    def table(self) -> str:
        """The first figure's table."""
        return self.found.check.table

    @property
    def verdict(self) -> Verdict | None:
        """What it says of the claim."""
        return self.found.verdict

    @property
    def reason(self) -> str | None:
        """Why it is not tested."""
        return self.found.reason

    @property
    def difference(self) -> Estimate | None:
        """What was measured."""
        return self.found.difference

    @property
    def printed(self) -> float | None:
        """The paper's difference."""
        return self.found.printed

    @property
    def by(self) -> float:
        """Where the claim's bound lies."""
        return self.found.check.by

    @property
    def both(self) -> bool:
        """Whether the claim bounds the difference on both sides."""
        return self.found.check.kind == "level"

    @property
    def _unit(self) -> str:
        if self.found.check.relative:
            return " %"
        unit = METRICS[self.found.check.metric].unit
        return {"%": " points", "": ""}.get(unit, f" {unit}")

    def _text(self, value: float) -> str:
        scale = 100 if self.found.check.relative else 1
        return signed(scale * value).partition(" ")[2]

    @property
    def measured(self) -> str | None:
        """The measured difference with its unit."""
        found = self.difference
        return None if found is None else self._text(found.value) + self._unit

    @property
    def interval(self) -> str | None:
        """The ends of its interval."""
        found = self.difference
        if found is None or found.low is None or found.high is None:
            return None
        return f"{self._text(found.low)} to {self._text(found.high)}"

    @property
    def paper(self) -> str | None:
        """The paper's difference with its unit."""
        return None if self.printed is None else self._text(self.printed) + self._unit

    @property
    def spoken(self) -> str:
        """The drawn line in words."""
        said = [f"measured {self.measured}"] if self.measured else []
        said += [f"interval {self.interval}"] if self.interval else []
        said += [f"paper {self.paper}"] if self.paper else []
        return f"{self.compared}: {', '.join(said)}"

    def x(self, value: float) -> float:
        """Return where a difference lies on a line of 200 units, no further out than its ends."""
        return round(100 + HALF * max(-1.0, min(1.0, value / self.reach)), 1)


@dataclass(frozen=True)
class ClaimView:
    """A claim with its verdict, and its evidence drawn to one scale."""

    anchor: str
    claim: Claim
    verdict: Verdict
    supported: bool | None
    rows: tuple[EvidenceView, ...]


def claim_views(judged: Sequence[Judged]) -> list[ClaimView]:
    """Return claims as the page shows them, in their order."""
    return [
        ClaimView(
            f"claim-{number}", each.claim, each.verdict, each.supported, tuple(_rows(each.evidence))
        )
        for number, each in enumerate(judged, 1)
    ]


def _rows(evidence: Sequence[Evidence]) -> list[EvidenceView]:
    ends = [found.check.by for found in evidence]
    for found in evidence:
        ends += [found.printed or 0]
        if found.difference:
            ends += [found.difference.value, found.difference.low or 0, found.difference.high or 0]
    reach = max(abs(end) for end in ends) or 1.0
    return [EvidenceView(found, reach) for found in evidence]
