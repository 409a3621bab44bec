"""Holm's correction within and over claims, by hand."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import norm

from reconpatch.reporting.claims import Check, Claim, Evidence, Judged
from reconpatch.reporting.claims_table import claims_table
from reconpatch.reporting.correction import over_checks, over_claims
from reconpatch.reporting.page.claim_view import claim_views
from reconpatch.reporting.verdicts import Estimate, judge, p_value

Z = norm.ppf(0.975)
CHECK = Check.model_validate(
    {"kind": "ahead", "table": "table5", "row": "a", "column": "b", "than": {"column": "c"}}
)
UNTESTED = Evidence("a less b", CHECK, "not tested", None, None, "the suite has no Table 9")
UNKNOWN = Evidence("a less b", CHECK, "cannot tell", Estimate(1.0, resampled=False), None, None)
LEFT_OUT = Evidence("a less b", CHECK, None, None, 0.3, None)


def found(p: float, sign: int = 1, check: Check = CHECK) -> Evidence:
    """A comparison whose normal estimate, with a standard error of one point, has this p-value."""
    estimate = Estimate(sign * float(norm.isf(p / 2)), Z, Z)
    raw = judge(check.kind, estimate, check.by)
    return Evidence("a less b", check, raw, estimate, None, None, p_value("ahead", estimate, 0))


def claim(*evidence: Evidence) -> tuple[Claim, tuple[Evidence, ...]]:
    settings = Claim(name="n", says="s", where="w", checks=(CHECK,))
    return settings, over_checks(evidence)


def said(text: str | None) -> str | None:
    return text and text.replace("\N{NO-BREAK SPACE}", " ")


def judged(*claims: tuple[Claim, tuple[Evidence, ...]]) -> list[Judged]:
    return over_claims(claims)


def test_checks_are_corrected_within_their_claim() -> None:
    ((first, second, third),) = (
        each.evidence for each in judged(claim(found(0.02), found(0.04), found(0.01)))
    )
    assert [e.raw for e in (first, second, third)] == ["holds"] * 3
    assert [e.p for e in (first, second, third)] == pytest.approx([0.02, 0.04, 0.01])
    assert [e.corrected for e in (first, second, third)] == pytest.approx([0.04, 0.04, 0.03])
    assert [e.verdict for e in (first, second, third)] == ["holds"] * 3
    (pair,) = (each.evidence for each in judged(claim(found(0.03), found(0.04, -1))))
    assert [e.raw for e in pair] == ["holds", "does not hold"]
    assert [e.corrected for e in pair] == pytest.approx([0.06, 0.06])
    assert [e.verdict for e in pair] == ["cannot tell"] * 2


def test_what_was_not_tested_is_in_no_family() -> None:
    ((alone, *others),) = (
        each.evidence for each in judged(claim(found(0.03), UNTESTED, LEFT_OUT, UNKNOWN))
    )
    assert (alone.corrected, alone.verdict) == (pytest.approx(0.03), "holds")
    assert [e.corrected for e in others] == [None] * 3
    assert [e.verdict for e in others] == ["not tested", None, "cannot tell"]


@pytest.mark.parametrize(
    ("p", "verdict"), [(0.024, "holds"), (0.026, "cannot tell")], ids=["below", "above"]
)
def test_claims_are_corrected_over_all_claims(p: float, verdict: str) -> None:
    first, second = judged(claim(found(p)), claim(found(0.6)))
    assert (first.raw, first.verdict) == ("holds", verdict)
    assert (first.p, first.corrected) == (pytest.approx(p), pytest.approx(2 * p))
    assert (second.raw, second.verdict, second.corrected) == (
        "cannot tell",
        "cannot tell",
        pytest.approx(0.6),
    )
    contradicted, _ = judged(claim(found(p, -1)), claim(found(0.6)))
    assert contradicted.raw == "does not hold"
    assert contradicted.verdict == ("does not hold" if verdict == "holds" else "cannot tell")


def test_a_comparison_keeps_its_verdict_where_both_corrections_do() -> None:
    first, second, third = judged(
        claim(found(0.03), found(1e-9)), claim(found(0.4)), claim(found(1e-6, -1), found(0.02))
    )
    # Two claims are left: 0.03 is not enough, 1e-9 is, and says which of the two is in doubt.
    assert [e.verdict for e in first.evidence] == ["cannot tell", "holds"]
    assert [e.detectable is None for e in first.evidence] == [False, True]
    assert (first.raw, first.verdict, second.verdict) == ("holds", "cannot tell", "cannot tell")
    assert third.verdict == "does not hold"
    assert [e.verdict for e in third.evidence] == ["does not hold", "holds"]


@given(
    st.lists(
        st.lists(
            st.tuples(st.floats(1e-6, 0.999), st.sampled_from([1, -1])), min_size=1, max_size=4
        ),
        min_size=1,
        max_size=5,
    )
)
def test_a_claim_is_decided_exactly_where_its_corrected_p_is_small(
    claims: list[list[tuple[float, int]]],
) -> None:
    for each in judged(*(claim(*(found(p, sign) for p, sign in checks)) for checks in claims)):
        assert each.corrected is not None
        assume(abs(each.corrected - 0.05) > 1e-9)
        assert (each.corrected < 0.05) == (each.verdict in ("holds", "does not hold"))
        if each.verdict != "cannot tell":
            assert each.raw == each.verdict


def test_a_claim_holds_by_its_largest_p_and_is_contradicted_by_its_smallest() -> None:
    (holds,) = judged(claim(found(0.001), found(0.03)))
    assert (holds.p, holds.verdict) == (pytest.approx(0.03), "holds")
    # 0.001 is for it, and decides nothing once another check leans against it.
    (against,) = judged(claim(found(0.001), found(0.02, -1)))
    assert (against.p, against.verdict) == (pytest.approx(0.02), "does not hold")
    (left,) = judged(claim(found(0.001), found(0.3, -1)))
    assert (left.p, left.verdict) == (pytest.approx(0.3), "cannot tell")


def test_a_claim_that_could_not_be_decided_is_in_no_family() -> None:
    tested, partly, unknown = judged(
        claim(found(0.03)), claim(found(0.001), UNTESTED), claim(found(0.001), UNKNOWN)
    )
    assert (tested.corrected, tested.verdict) == (pytest.approx(0.03), "holds")
    assert (partly.p, partly.corrected, partly.verdict) == (None, None, "not tested")
    assert (unknown.p, unknown.verdict) == (None, "cannot tell")
    # One check is enough to contradict it; a chance that the correction takes leaves it untested.
    (contradicted,) = judged(claim(found(0.001, -1), UNTESTED))
    assert contradicted.verdict == "does not hold"
    undecided, _ = judged(claim(found(0.03, -1), UNTESTED), claim(found(0.9)))
    assert (undecided.raw, undecided.verdict) == ("does not hold", "not tested")


def test_cannot_tell_says_what_would_have_shown_at_the_level_that_was_asked_for() -> None:
    # Two checks and three claims are undecided: 0.05 / 2 / 3. One standard error is one point.
    first, _, _, decided = judged(
        claim(found(0.2), found(0.4)), claim(found(0.5)), claim(found(0.6)), claim(found(1e-9))
    )
    expected = norm.isf(0.05 / 2 / 3 / 2) + norm.ppf(0.8)
    assert [e.detectable for e in first.evidence] == pytest.approx([expected] * 2)
    assert [e.detectable for e in decided.evidence] == [None]
    (alone,) = judged(claim(found(0.2)))
    assert alone.evidence[0].detectable == pytest.approx(1.95996 + 0.84162, abs=1e-4)
    # Just that difference, with this error, is decided in this family.
    p = float(2 * norm.sf(norm.isf(0.05 / 2 / 3 / 2) + 1e-6))
    again = judged(claim(found(p), found(0.4)), claim(found(0.5)), claim(found(0.6)))
    assert again[0].evidence[0].verdict == "holds"


def test_the_page_shows_both_p_values_and_both_verdicts() -> None:
    first, second = claim_views(judged(claim(found(0.03)), claim(found(0.5))))
    (row,) = first.rows
    assert said(row.chance) == "p = 0.030, corrected 0.030"
    assert said(first.chance) == "p = 0.030, over all claims 0.060"
    assert row.detectable == "a difference of 3.08 points or more would have shown"
    assert said(second.chance) == "p = 0.500, over all claims 0.500"
    ((sure,),) = (view.rows for view in claim_views(judged(claim(found(1e-9)))))
    assert said(sure.chance) == "p < 0.001, corrected < 0.001"
    bound = CHECK.model_copy(update={"by": 0.2})
    estimate = Estimate(0.0, Z, Z)
    evidence = Evidence("a less b", bound, "cannot tell", estimate, None, None, 0.8)
    (view,) = claim_views(judged(claim(evidence)))
    passed = "a difference that passes +0.20 points by 2.80 points or more would have shown"
    assert view.rows[0].detectable == passed


def test_programs_read_all_of_it() -> None:
    table = claims_table(judged(claim(found(0.03), UNTESTED), claim(found(0.01))))
    assert len(table) == 3
    last = table.iloc[2]
    assert last["claim_verdict"] == last["claim_uncorrected_verdict"] == "holds"
    assert last[["p", "corrected_p", "claim_p", "claim_corrected_p"]].tolist() == pytest.approx(
        [0.01] * 4
    )
    assert last["low"] == pytest.approx(norm.isf(0.005) - Z)
    assert np.isnan(table["difference"][1])
    assert table["reason"][1] == "the suite has no Table 9"
