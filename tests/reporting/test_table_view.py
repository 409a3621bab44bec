"""What the report page shows of tables, runs and sweeps, before it is HTML."""

from pathlib import Path

import pandas as pd
import pytest

from reconpatch.methods.patchcore import PatchCoreRecipe
from reconpatch.reporting.formats import NOT_RUN
from reconpatch.reporting.page.ambiguities import document, swings
from reconpatch.reporting.page.provenance_summary import steps
from reconpatch.reporting.page.table_view import CellView, signed, table_view
from reconpatch.reporting.table import COLUMNS
from reconpatch.suites.runs import Run
from reconpatch.suites.suite import load_suite

CONFIG = Path(__file__).parents[2] / "config"


def cell(column: str, metric: str = "image_auroc", row: str = "metal_nut", **given: object) -> dict:
    return {"row": row, "column": column, "metric": metric, **given}


def figures(*records: dict) -> dict[str, CellView]:
    table = table_view(pd.DataFrame(records, columns=COLUMNS))
    (row,) = table.rows
    return dict(zip((column.name for column in table.columns), row.cells, strict=True))


MANY = '["set/a/abc/0", "set/a/abc/1", "set/a/def/0", "set/a/def/1"]'


def test_a_figure_shows_all_that_is_known_of_it_and_leads_to_its_runs() -> None:
    known = {"measured": 98.0, "paper": "99.50", "std": 0.5, "low": 96.0, "high": 100.0}
    found = figures(
        cell("one", **known, comparable=True, runs='["set/bottle/abc/0"]'),
        cell("elsewhere", **known, comparable=False),
        cell("many", measured=1.0, runs=MANY),
        cell(
            "gone", paper="97", reason="not measured: set/bottle/abc/0", runs='["set/bottle/abc/0"]'
        ),
        cell("theirs", paper="96.1", reason=NOT_RUN),
    )
    one = found["one"]
    assert (one.measured, one.paper, one.difference) == ("98.00", "99.50", "▼ −1.50")
    assert (found["elsewhere"].paper, found["elsewhere"].difference) == ("99.50", None)
    assert (one.spread, one.interval) == ("0.50", "96.00 to 100.00")
    assert one.links == (("run-set/bottle/abc/0", "set/bottle/abc/0"),)
    assert [link for link, _ in found["many"].links] == ["recipe-abc", "recipe-def"]
    gone = found["gone"]
    assert (gone.measured, gone.links, gone.value) == (None, (), None)
    assert gone.reason == "not measured: set/bottle/abc/0"
    assert (found["theirs"].ours, found["theirs"].value) == (False, 96.1)


def test_environments_are_told_where_they_differ_within_a_table() -> None:
    alike = [cell("a", measured=1.0, environment="CPU"), cell("b", measured=1.0, environment="CPU")]
    assert table_view(pd.DataFrame(alike, columns=COLUMNS)).environments == ()
    assert figures(*alike)["a"].environment is None
    other = [alike[0], cell("b", measured=1.0, environment="GPU"), cell("c")]
    assert table_view(pd.DataFrame(other, columns=COLUMNS)).environments == ("CPU", "GPU")
    assert [view.environment for view in figures(*other).values()] == ["CPU", "GPU", None]


@pytest.mark.parametrize(
    ("difference", "text"),
    [(1.234, "▲ +1.23"), (-1.235, "▼ −1.24"), (0.001, "= 0.00"), (-0.001, "= 0.00")],
)
def test_a_differences_sign_is_an_arrow_too(difference: float, text: str) -> None:
    assert signed(difference) == text


def test_metrics_stand_side_by_side_where_a_column_shows_both() -> None:
    table = table_view(
        pd.DataFrame(
            [
                cell("both", measured=90.0),
                cell("both", "pixel_auroc", measured=95.0),
                cell("one", measured=80.0),
                cell("one", row="Average", measured=80.0),
            ],
            columns=COLUMNS,
        )
    )
    assert [column.parts for column in table.columns] == [("image", "pixel"), ()]
    nut, average = table.rows
    assert [figure.measured for figure in nut.cells] == ["90.00", "95.00", "80.00"]
    assert [figure.measured for figure in average.cells] == [None, None, "80.00"]
    assert (nut.name, nut.mean, average.mean) == ("Metal nut", False, True)


def test_what_runs_share_is_counted_once() -> None:
    def record(features: str, seconds: float) -> dict:
        done = {"seconds": {"train": seconds, "test": 1.0}, "peak_mib": int(100 * seconds)}
        return {"steps": {"features": {**done, "fingerprint": features}, "evaluation": done}}

    told = [("a", record("same", 1.0)), ("b", record("same", 1.0)), ("c", record("other", 3.0))]
    features, evaluation = steps(
        [(Run("set", name, PatchCoreRecipe(), 0), of) for name, of in told]
    )
    assert (features.times, features.total, features.middle, features.peak) == (2, 6.0, 3.0, 300)
    assert (evaluation.times, evaluation.total, evaluation.longest) == (3, 8.0, 4.0)


def test_a_sweep_is_summed_up_by_its_ends_and_whether_their_intervals_part(tmp_path: Path) -> None:
    text = (CONFIG / "suites" / "demo.yaml").read_text()
    path = tmp_path / "swept.yaml"
    path.write_text(text.replace("evidence.yaml]", "evidence.yaml, sensitivity.yaml]"))
    demo = load_suite(path, Path("data"), CONFIG)
    nothing = pd.DataFrame(columns=COLUMNS)
    tables = dict.fromkeys(demo.experiments.tables, nothing)
    for name, high in (("sensitivity1", 91.0), ("sensitivity2", 93.0)):
        tables[name] = pd.DataFrame(
            [
                cell("1", measured=90.0, low=89.0, high=high),
                cell("2", measured=95.0, low=92.0, high=98.0),
                cell("3", measured=92.0, low=90.0, high=94.0),
                cell("4", "pixel_auroc", measured=92.0),
            ],
            columns=COLUMNS,
        )
    first, second = swings(demo, tables)
    assert (first.setting, second.setting) == ("sigma", "ema_momentum")
    assert (first.count, first.lowest, first.highest) == (3, 90.0, 95.0)
    assert (first.apart, second.apart) == (True, False)


def test_the_page_of_choices_becomes_html_that_leads_nowhere_else(tmp_path: Path) -> None:
    found = document(CONFIG.parent / "docs" / "ambiguities.md")
    assert found
    assert "<code>sigma</code>" in found.choices
    assert "9.94" in found.contradictions
    assert "9.94" not in found.choices
    for html in (found.choices, found.contradictions):
        assert "<table>" in html
        assert "href=" not in html
        assert "<h2" not in html
    assert document(tmp_path / "none.md") is None
