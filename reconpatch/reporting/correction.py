"""Holm's correction of claims: first over the checks of each claim, then over all claims.

A claim holds only if all of its checks do, for which the largest of their p-values would be enough;
it does not hold as soon as one check contradicts it, for which they must be corrected. Correcting
both ways is the cautious choice. The claims' family is all claims that the suite could decide.
"""

from collections.abc import Sequence
from dataclasses import replace

from reconpatch.evaluation.multiple_tests import holm
from reconpatch.reporting.claims import Claim, Evidence, Judged
from reconpatch.reporting.verdicts import ALPHA, detectable, leans, together


def over_checks(evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """Return the evidence of a claim with p-values corrected over its checks."""
    corrected = iter(holm([found.p for found in evidence if found.p is not None]))
    return tuple(
        found if found.p is None else replace(found, corrected=next(corrected))
        for found in evidence
    )


def over_claims(claims: Sequence[tuple[Claim, tuple[Evidence, ...]]]) -> list[Judged]:
    """Return the verdicts on claims whose evidence is corrected over their checks."""
    plain = [_claim_p(evidence) for _, evidence in claims]
    found = holm([p for p in plain if p is not None])
    left = _left(found)
    corrected = iter(found)
    judged = []
    for (claim, evidence), p in zip(claims, plain, strict=True):
        checks = _left([each.corrected for each in evidence if each.corrected is not None])
        shown = tuple(_decided(each, left, checks) for each in evidence)
        # A claim is rejected by Holm exactly where the check that decides it is kept.
        verdict = together(each.verdict for each in shown if each.verdict)
        judged.append(Judged(claim, shown, p, None if p is None else next(corrected), verdict))
    return judged


def _decided(found: Evidence, claims: int, checks: int) -> Evidence:
    """Return a comparison with its verdict, or with what it would have shown.

    Args:
        found: corrected over the checks of its claim.
        claims: how many claims Holm's procedure leaves.
        checks: how many checks of its claim.
    """
    if found.corrected is not None and found.corrected * claims < ALPHA:
        return replace(found, verdict=found.raw)
    if found.difference is None:
        return replace(found, verdict=found.raw)
    least = detectable(found.difference, ALPHA / claims / checks)
    return replace(found, verdict="cannot tell", detectable=least)


def _claim_p(evidence: Sequence[Evidence]) -> float | None:
    """The p-value of the one verdict that a claim's values lean to; None where it has none.

    The smallest of the checks that lean against it, as one of them is enough; without any, the
    largest of all.
    """
    tested = [found for found in evidence if found.raw]
    against = [
        found.corrected
        for found in tested
        if found.corrected is not None
        and found.difference
        and leans(found.check.kind, found.difference, found.check.by) == "does not hold"
    ]
    if against:
        return min(against)
    every = [found.corrected for found in tested if found.corrected is not None]
    return max(every) if every and len(every) == len(tested) else None


def _left(corrected: Sequence[float]) -> int:
    """How many of a family Holm's procedure leaves: it asks the next for ``ALPHA`` over that."""
    return max(1, sum(p >= ALPHA for p in corrected))
