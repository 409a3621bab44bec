"""The verdicts on claims as a table that programs read: a row a comparison."""

from collections.abc import Sequence

import pandas as pd

from reconpatch.reporting.claims import Judged


def claims_table(judged: Sequence[Judged]) -> pd.DataFrame:
    """Return a row for each comparison, under its claim.

    Differences, ends and ``detectable`` are in the metric's unit (AUROC in points), or a share
    where the check is ``relative``. Columns that begin with ``claim`` repeat on a claim's rows.
    ``corrected_p`` is corrected over the claim's checks, ``claim_corrected_p`` over all claims.
    """
    return pd.DataFrame(
        [
            {
                "claim": each.claim.name,
                "claim_uncorrected_verdict": each.raw,
                "claim_p": each.p,
                "claim_corrected_p": each.corrected,
                "claim_verdict": each.verdict,
                "compared": found.compared,
                "metric": found.check.metric,
                "kind": found.check.kind,
                "by": found.check.by,
                "relative": found.check.relative,
                "difference": found.difference and found.difference.value,
                "low": found.difference and found.difference.low,
                "high": found.difference and found.difference.high,
                "uncorrected_verdict": found.raw,
                "p": found.p,
                "corrected_p": found.corrected,
                "verdict": found.verdict,
                "detectable": found.detectable,
                "won": found.categories and found.categories.won,
                "tied": found.categories and found.categories.tied,
                "lost": found.categories and found.categories.lost,
                "sign_test_p": found.categories and found.categories.p,
                "paper": found.printed,
                "reason": found.reason,
            }
            for each in judged
            for found in each.evidence
        ]
    ).astype({"won": "Int64", "tied": "Int64", "lost": "Int64"})
