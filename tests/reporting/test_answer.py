"""The small table that a report begins with, over made-up categories."""

from pathlib import Path

import pytest

from reconpatch.reporting.answer import answer, limits
from reconpatch.reporting.table import UNPUBLISHED, Results, table
from tests.reporting.test_headline import Made, made

__all__ = ["made"]


def test_methods_stand_side_by_side_with_what_all_tables_say(made: Made) -> None:
    suite, results = made([1.0, 3.0])
    # Made-up runs tell of no times.
    names = [name for name in suite.experiments.tables if name != "evidence4"]
    tables = {name: table(suite, name, results, UNPUBLISHED) for name in names}
    found = answer(suite, tables)
    assert found
    assert found.caption == "Table 5 in short, averages over bottle, cable"
    assert found.columns == ("image AUROC, %", "pixel AUROC, %")
    rows = dict(found.rows)
    assert rows["ReConPatch (small)"] == ("92.00", "92.00")
    assert rows["PatchCore 25 % (small)"] == ("90.00", "90.00")


def test_nothing_measured_is_no_answer(made: Made, tmp_path: Path) -> None:
    suite, _ = made([1.0])
    nothing = Results(tmp_path / "nowhere")
    tables = {name: table(suite, name, nothing, UNPUBLISHED) for name in suite.experiments.tables}
    assert answer(suite, tables) is None


@pytest.mark.parametrize(
    ("seeds", "said"), [((0,), "one seed, so that no interval"), ((0, 1), "2 seeds:")]
)
def test_a_suite_says_what_it_cannot_say(made: Made, seeds: tuple[int, ...], said: str) -> None:
    suite, results = made([1.0], seeds=seeds)
    tables = {"table5": table(suite, "table5", results, UNPUBLISHED)}
    assert said in limits(suite, tables)
    assert "say nothing about the paper's own data" in limits(suite, tables)
    tables["table5"].loc[0, "comparable"] = True
    assert "stand against the paper's" in limits(suite, tables)
