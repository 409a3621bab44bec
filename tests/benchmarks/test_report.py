from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmarks.measure import Measured
from benchmarks.plan import FULL
from benchmarks.report import Findings, Row, terminal_table, write_csv, write_markdown

ROWS = [
    Row("coreset", Measured((2.0, 1.0, 3.0), 10.4, 99.0), "peer", Measured((20.0,), 30.6), goal=8),
    Row("step", Measured((3.0,)), "part", Measured((2.0,)), overhead=True, goal=1.4),
]


def test_the_csv_has_exactly_its_columns(tmp_path: Path) -> None:
    write_csv(ROWS, tmp_path / "bench.csv")
    header, first, second = (tmp_path / "bench.csv").read_text().splitlines()
    assert header == "what,ours_s,other,other_s,ratio,ours_peak_mib,other_peak_mib"
    assert first == "coreset,2.0,peer,20.0,10.0,10,31"
    assert second == "step,3.0,part (ratio: ours over this),2.0,1.5,,"


def test_a_goal_is_a_least_ratio_to_a_peer_and_a_largest_overhead() -> None:
    assert [row.verdict for row in ROWS] == ["at least 8: reached", "at most 1.4: missed"]


def test_the_markdown_says_how_often_each_ran_and_what_was_found(tmp_path: Path) -> None:
    findings = [Findings("The coreset", ROWS, ["They differ in 0 points."])]
    write_markdown(findings, FULL, 12.3, tmp_path / "bench.md")
    text = (tmp_path / "bench.md").read_text()
    assert "| 10.00 | at least 8: reached | 10 | 31 | 3 / 1 |" in text
    assert "## The coreset\n\nThey differ in 0 points." in text
    assert f"torch {torch.__version__.partition('+')[0]}" in text


def test_the_terminals_table_has_a_line_for_each_work_and_each_other() -> None:
    assert terminal_table(ROWS).row_count == 4


def test_extrapolated_work_keeps_its_memory() -> None:
    assert Measured((2.0, 4.0), 5.0).times(10) == Measured((20.0, 40.0), 5.0)


def test_the_exponent_is_that_of_a_power_law() -> None:
    from benchmarks.scaling import fitted_exponent

    sizes = pd.Series([1.0, 3.0, 10.0])
    assert fitted_exponent(sizes, 4 * sizes**1.5) == pytest.approx(1.5)
