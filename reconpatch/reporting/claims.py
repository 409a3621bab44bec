"""The paper's claims, and what was found for or against them.

A claim is a sentence of the paper with checks, in ``config/claims.yaml``. A check compares values
of tables, which are named as the paper names them, so that one file serves every suite.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from reconpatch.evaluation.multiple_tests import sign_test
from reconpatch.reporting.verdicts import Comparison, Estimate, Verdict, judge, together
from reconpatch.settings.base import Settings
from reconpatch.suites.experiments import Metric


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
class Categories:
    """How many categories the first of two values wins, ties and loses: the greater one wins.

    Values tie that round to the same second decimal, as the tables print them.
    """

    won: int
    tied: int
    lost: int

    @property
    def p(self) -> float:
        """The exact sign test's two-sided p-value; ties are left out."""
        return sign_test(self.won, self.lost)

    def __str__(self) -> str:
        categories = "category" if self.won == 1 else "categories"
        return f"{self.won} {categories} won, {self.tied} tied, {self.lost} lost"


@dataclass(frozen=True)
class Evidence:
    """A comparison that was made, or the reason why it could not be.

    Attributes:
        compared: the two values in words.
        raw: what its 95 % interval says of the claim, uncorrected; None where the suite leaves one
            of many values out.
        difference: the first value less the other, as measured.
        printed: the same of the values that the paper prints; None where it prints none.
        reason: why it is not tested.
        p: the interval's p-value (:func:`reconpatch.reporting.verdicts.p_value`).
        categories: those won, tied and lost; None of a single one, and of a check that is
            ``level``.
        corrected: p after Holm's correction over the checks of its claim.
        verdict: what is left of ``raw`` after the correction over all claims too.
        detectable: the smallest difference from the claim's bound that would have been shown, where
            nothing was.
        comparable: whether both measured values may be held against the paper's.
    """

    compared: str
    check: Check
    raw: Verdict | None
    difference: Estimate | None
    printed: float | None
    reason: str | None
    p: float | None = None
    categories: Categories | None = None
    corrected: float | None = None
    verdict: Verdict | None = None
    detectable: float | None = None
    comparable: bool = False


@dataclass(frozen=True)
class Judged:
    """A claim with its evidence.

    Attributes:
        p: the claim's p-value, from those of its checks that are corrected over them; None where
            nothing could be decided.
        corrected: p after Holm's correction over all claims.
        verdict: what the measured values say of it after both corrections.
    """

    claim: Claim
    evidence: tuple[Evidence, ...]
    p: float | None
    corrected: float | None
    verdict: Verdict

    @property
    def raw(self) -> Verdict:
        """What the 95 % intervals say of it, uncorrected."""
        return together(found.raw for found in self.evidence if found.raw)

    @property
    def supported(self) -> bool | None:
        """Whether the values that the paper prints say so; None where it prints none."""
        printed = [
            judge(found.check.kind, Estimate(found.printed), found.check.by)
            for found in self.evidence
            if found.printed is not None
        ]
        return set(printed) == {"holds"} if printed else None
