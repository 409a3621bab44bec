from pathlib import Path

import pytest

from reconpatch.reporting.claims import Claim
from reconpatch.reporting.report import write_report
from reconpatch.settings.base import read_settings
from reconpatch.suites.suite import load_suite

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["demo", "paper", "study"])
def test_a_suite_of_which_nothing_is_measured_has_a_report_that_says_so(
    name: str, tmp_path: Path
) -> None:
    suite = load_suite(ROOT / "config" / "suites" / f"{name}.yaml", Path("data"), ROOT / "config")
    (tmp_path / "results" / "runs").mkdir(parents=True)
    write_report(suite, tmp_path / "results", ROOT / "config", ROOT / "docs", tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "0 measured, <strong>" in page
    claims = read_settings(ROOT / "config" / "claims.yaml", tuple[Claim, ...], "claims")
    # They are folded into one line, behind all else.
    assert f"<summary>{len(claims)} claims are not tested here</summary>" in page
    assert page.index('id="tables"') < page.index('id="claims"')
    assert 'class="measured"' not in page
    assert "No figure, because: not measured: " in page
