"""A suite's report on disk: its tables to paste, and its page."""

from pathlib import Path

import pandas as pd

from reconpatch.reporting.claims import Claim
from reconpatch.reporting.claims_table import claims_table
from reconpatch.reporting.formats import PAIR, latex, markdown, wide
from reconpatch.reporting.headline import Compared, headline
from reconpatch.reporting.judging import judge_claims
from reconpatch.reporting.page.page import page
from reconpatch.reporting.table import UNPUBLISHED, Results, table
from reconpatch.settings.base import read_settings
from reconpatch.suites.experiments import title
from reconpatch.suites.runs import batches
from reconpatch.suites.suite import Suite
from reconpatch.utils.files import atomic_write


def write_report(suite: Suite, results: Path, config: Path, docs: Path, folder: Path) -> None:
    """Write ``tables/*.{csv,md,tex}``, ``claims.csv``, ``headline.txt`` and ``report.html``.

    Each is written whole or not at all. ``config`` holds the paper's tables and claims and the
    headline's comparison, ``docs`` what the paper leaves open, and ``folder`` the figures already.

    Raises:
        InputError: the file of claims or of the headline is missing, or is none.
    """
    read = Results(results / "runs")
    published = {
        path.stem: pd.read_csv(path, dtype=str)
        for path in sorted((config / "published").glob("*.csv"))
    }
    texts: dict[str, str] = {}
    tables: dict[str, pd.DataFrame] = {}
    for name, experiment in suite.experiments.tables.items():
        tidy = table(suite, name, read, published.get(name, UNPUBLISHED))
        caption = f"{title(name)}: {experiment.caption}."
        if tidy.duplicated(["row", "column"]).any():
            caption += f" {PAIR}"
        texts[f"tables/{name}.csv"] = tidy.to_csv(index=False, float_format="%.6f")
        texts[f"tables/{name}.md"] = f"{caption}\n\n{markdown(wide(tidy))}"
        texts[f"tables/{name}.tex"] = latex(wide(tidy), caption, f"tab:{name}")
        tables[name] = tidy
    claims = read_settings(config / "claims.yaml", tuple[Claim, ...], "claims")
    named = read_settings(
        config / "headline.yaml", tuple[Compared, ...], "the headline's comparisons"
    )
    judged = judge_claims(claims, suite, read, published)
    sentence = headline(named, judged, suite, read)
    texts["claims.csv"] = claims_table(judged).to_csv(index=False, float_format="%.6g")
    texts["headline.txt"] = f"{sentence}\n"
    runs = [run for batch in batches(suite) for run in batch.runs]
    records = [(run, record) for run in runs if (record := read.record(run, "metrics.json"))]
    texts["report.html"] = page(
        suite,
        tables,
        texts,
        sentence,
        judged,
        records,
        len(runs) - len(records),
        results,
        folder / "figures",
        docs / "ambiguities.md",
    )
    for name, text in texts.items():
        with atomic_write(folder / name) as aside:
            aside.write_text(text)
