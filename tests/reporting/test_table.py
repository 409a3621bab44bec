"""Tables from made-up runs, and the text that they become."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reconpatch.reporting.formats import latex, markdown, read_table, wide
from reconpatch.reporting.page.table_view import table_view
from reconpatch.reporting.table import Results, table
from reconpatch.suites.experiments import Experiments
from reconpatch.suites.runs import Run, runs_of, timed_runs
from reconpatch.suites.suite import Suite
from reconpatch.utils.record import write_record, write_sealed

PUBLISHED = pd.DataFrame(
    [
        ("bottle", "Other", "image_auroc", "97"),
        ("bottle", "Ours", "image_auroc", "100"),
        ("bottle", "Ours", "pixel_auroc", None),
        ("carpet", "Ours", "image_auroc", "99.60"),
        ("Average", "Ours", "image_auroc", "99.8"),
    ],
    columns=["row", "column", "metric", "value"],
)
KINDS = {"bottle": "object", "carpet": "texture", "cell": None}
EXPERIMENTS = Experiments.model_validate(
    {
        "tables": {
            "table5": {
                "caption": "by category",
                "metrics": ["image_auroc", "pixel_auroc"],
                "rows": "categories",
                "columns": [{"name": "ReConPatch ({single})", "published": "Ours"}],
                "rivals": [{"name": "SPADE ({single})", "published": "Other", "method": "SPADE"}],
            },
            "tableS5": {
                "caption": "a difference",
                "rows": "categories",
                "columns": [
                    {"name": "before", "method": "PatchCore"},
                    {"name": "after"},
                    {"name": "drop", "difference": ["before", "after"]},
                ],
            },
            "study1": {
                "caption": "ranks",
                "ranked": True,
                "rows": "categories",
                "columns": [
                    {"name": "low", "method": "PatchCore"},
                    {"name": "high"},
                    {"name": "drop", "difference": ["low", "high"]},
                ],
            },
            "tableS6": {
                "caption": "time",
                "metrics": ["inference_ms"],
                "rows": [{"name": "ReConPatch"}],
                "columns": [{"name": "time"}],
            },
        },
        "figures": {},
    }
)


def suite(*categories: str, seeds: tuple[int, ...] = (0,)) -> Suite:
    source = {"layout": "mvtec", "dataset": "mvtec", "root": "data"}
    return Suite.model_validate(
        {
            "name": "made-up",
            "title": "made up",
            "datasets": [{"source": source, "categories": categories}],
            "seeds": seeds,
            "keep_features": True,
            "models": {"single": {"label": "small"}},
            "experiments": EXPERIMENTS,
        }
    )


def measure(
    results: Path,
    run: Run,
    image: float,
    pixel: float | None = 0.9,
    spread: float = 0.01,
    device: str = "cpu",
) -> None:
    """Leave what a run leaves: its metrics, and replicates that spread around them."""
    versions = {"torch": "2.14.1", "faiss": "1.15.1"}
    folder = results / run.id
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.linspace(-spread, spread, 1000)
    replicates = {"image_auroc": image + noise}
    np.savez(
        folder / "replicates.npz", **replicates, **({"pixel_auroc": pixel + noise} if pixel else {})
    )
    content = {
        "metrics": {"image_auroc": image, "pixel_auroc": pixel},
        "reasons": {} if pixel else {"pixel_auroc": "the category has no masks"},
        "steps": {"detection": {"device_kind": device, "versions": versions}},
    }
    write_record(folder / "metrics.json", "", content, ["replicates.npz"])


def measured(asked: Suite, results: Path, name: str = "table5") -> pd.DataFrame:
    return table(asked, name, Results(results), PUBLISHED)


def image_figures(tidy: pd.DataFrame, column: str = "ReConPatch (small)") -> dict[str, float]:
    chosen = tidy[(tidy["metric"] == "image_auroc") & (tidy["column"] == column)]
    return chosen.set_index("row")["measured"].to_dict()


def test_rows_are_the_papers_and_means_are_over_their_categories(tmp_path: Path) -> None:
    asked = suite("carpet", "leather", "bottle")
    for run in runs_of(asked, "table5"):
        image = {"carpet": 0.8, "leather": 0.6, "bottle": 1.0}[run.category]
        measure(tmp_path, run, image, None if run.category == "leather" else 0.9)
    tidy = measured(asked, tmp_path)
    assert list(image_figures(tidy).items()) == [
        ("bottle", 100),
        ("Object classes", 100),
        ("carpet", 80),
        ("leather", 60),
        ("Texture classes", pytest.approx(70)),
        ("Average", pytest.approx(80)),
    ]
    pixel = tidy[(tidy["metric"] == "pixel_auroc") & tidy["runs"].notna()].set_index("row")
    assert pd.isna(pixel["measured"]["leather"])
    assert pixel["reason"]["leather"] == "leather: the category has no masks"
    assert pixel["measured"]["Average"] == pytest.approx(90)


def test_a_cell_says_where_its_runs_were_measured(tmp_path: Path) -> None:
    asked = suite("bottle", "carpet")
    for run in runs_of(asked, "table5"):
        measure(tmp_path, run, 0.9, device={"bottle": "cpu", "carpet": "cuda"}[run.category])
    ours = measured(asked, tmp_path).dropna(subset=["measured"])
    environments = ours[ours["metric"] == "image_auroc"].set_index("row")["environment"]
    cpu, gpu = "CPU, torch 2.14.1, FAISS 1.15.1", "GPU, torch 2.14.1, FAISS 1.15.1"
    assert (environments["bottle"], environments["carpet"]) == (cpu, gpu)
    assert environments["Average"] == f"{cpu}; {gpu}"


def test_a_figure_is_the_mean_over_seeds_with_its_spread_and_interval(tmp_path: Path) -> None:
    asked = suite("bottle", seeds=(0, 2))
    runs = runs_of(asked, "table5")
    for run in runs:
        measure(tmp_path, run, 0.9 + run.seed / 100)
    cell = measured(asked, tmp_path).set_index(["row", "column", "metric"])
    cell = cell.loc[("bottle", "ReConPatch (small)", "image_auroc")]
    assert cell["measured"] == pytest.approx(91)
    assert cell["std"] == pytest.approx(np.std([90, 92], ddof=1))
    assert (cell["low"], cell["high"]) == (pytest.approx(90.05, 1e-4), pytest.approx(91.95, 1e-4))
    assert json.loads(cell["runs"]) == [run.id for run in runs]
    assert cell["paper"] == "100"


def test_the_spread_of_an_average_is_over_seeds_not_over_categories(tmp_path: Path) -> None:
    asked = suite("bottle", "carpet", seeds=(0, 1))
    for run in runs_of(asked, "table5"):
        measure(tmp_path, run, {"bottle": 0.9, "carpet": 0.5}[run.category] + run.seed / 50)
    tidy = measured(asked, tmp_path).set_index(["row", "metric"])
    assert tidy.loc[("Average", "image_auroc"), "std"] == pytest.approx(np.std([0, 2], ddof=1))


def test_a_difference_is_paired(tmp_path: Path) -> None:
    asked = suite("bottle")
    for run in runs_of(asked, "tableS5"):
        measure(tmp_path, run, 0.95 if run.recipe.method == "PatchCore" else 0.9, spread=0.04)
    tidy = measured(asked, tmp_path, "tableS5").set_index(["row", "column"])
    drop = tidy.loc[("bottle", "drop")]
    assert drop["measured"] == pytest.approx(5)
    # Replicates that move together leave their difference alone.
    assert (drop["low"], drop["high"]) == (pytest.approx(5), pytest.approx(5))
    assert set(json.loads(drop["runs"])) == {run.id for run in runs_of(asked, "tableS5")}


def test_what_was_not_measured_is_blank_with_its_reason_and_so_is_its_mean(tmp_path: Path) -> None:
    asked = suite("bottle", "carpet")
    missing, there = sorted(runs_of(asked, "table5"), key=lambda run: run.category == "bottle")
    measure(tmp_path, there, 0.9)
    tidy = measured(asked, tmp_path)
    figures = image_figures(tidy)
    assert figures["bottle"] == 90
    assert pd.isna(figures["carpet"])
    assert pd.isna(figures["Average"])
    reasons = tidy.set_index(["row", "metric"])["reason"]
    assert reasons["Average", "image_auroc"] == f"not measured: {missing.id}"


def test_half_of_the_seeds_is_no_figure(tmp_path: Path) -> None:
    for run in runs_of(suite("bottle", seeds=(0,)), "table5"):
        measure(tmp_path, run, 0.9)
    assert pd.isna(image_figures(measured(suite("bottle", seeds=(0, 1)), tmp_path))["bottle"])


def test_a_method_that_is_not_run_shows_the_papers_figure_alone(tmp_path: Path) -> None:
    tidy = measured(suite("bottle"), tmp_path)
    (other,) = tidy[tidy["column"] == "Other"].to_dict("records")
    assert (other["row"], other["paper"]) == ("bottle", "97")
    assert pd.isna(other["measured"])
    assert pd.isna(other["runs"])
    assert "not run here" in other["reason"]


def test_a_rival_that_the_suite_names_has_the_papers_figure_beside_its_own(tmp_path: Path) -> None:
    asked = suite("bottle").model_copy(update={"methods": {"SPADE": {}}})
    for run in runs_of(asked, "table5"):
        measure(tmp_path, run, 0.75)
    tidy = measured(asked, tmp_path)
    assert "Other" not in set(tidy["column"])
    spade = tidy[(tidy["column"] == "SPADE (small)") & (tidy["metric"] == "image_auroc")]
    assert spade["row"].tolist() == ["bottle", "Object classes", "Average"]
    assert (spade["measured"].tolist(), spade["paper"].iloc[0]) == ([75.0] * 3, "97")


def test_a_cell_that_the_suite_cannot_fill_rests_on_no_runs(tmp_path: Path) -> None:
    asked = suite("bottle").model_copy(update={"models": {}})
    (cell, *_) = measured(asked, tmp_path).to_dict("records")
    assert cell["reason"] == "the suite has no model single"
    assert pd.isna(cell["runs"])


def test_mean_ranks_are_over_categories_and_seeds(tmp_path: Path) -> None:
    asked = suite("bottle", "carpet", seeds=(0, 1))
    for run in runs_of(asked, "study1"):
        lead = 0.1 * (run.recipe.method == "ReConPatch") * (run.category == "bottle" or run.seed)
        measure(tmp_path, run, 0.8 + lead)
    tidy = measured(asked, tmp_path, "study1").set_index(["row", "column"])["measured"]
    # First in three of four, level in the other.
    assert tidy["Mean rank"].to_dict() == {"low": 1.875, "high": 1.125}


def test_runs_are_told_apart_where_a_category_has_a_space_in_its_name(tmp_path: Path) -> None:
    asked = suite("left hand, 1", 'the "other"', seeds=(0, 1))
    for run in runs_of(asked, "table5"):
        measure(tmp_path / "runs", run, 0.9)
    path = tmp_path / "table5.csv"
    measured(asked, tmp_path / "runs").to_csv(path, index=False)
    tidy = read_table(path)
    cell = tidy.set_index(["row", "column"]).loc["left hand, 1", "ReConPatch (small)"].iloc[0]
    behind = [run for run in runs_of(asked, "table5") if run.category == "left hand, 1"]
    assert json.loads(cell["runs"]) == [run.id for run in behind]
    assert all((tmp_path / "runs" / run).is_dir() for run in json.loads(cell["runs"]))
    rows = {row.name: row.cells[0] for row in table_view(tidy).rows}
    key = behind[0].recipe.key
    assert rows["Left hand, 1"].links == ((f"recipe-{key}", f"recipe {key}, 2 runs"),)
    assert rows["Average"].links == ((f"recipe-{key}", f"recipe {key}, 4 runs"),)


def test_times_are_means_over_iterations(tmp_path: Path) -> None:
    asked = suite("bottle")
    (run,) = timed_runs(asked)
    write_sealed(tmp_path / run.id / "inference.json", {"milliseconds": [30.0, 40.0, 80.0]})
    (cell,) = measured(asked, tmp_path, "tableS6").to_dict("records")
    assert cell["measured"] == pytest.approx(50)
    # Of three iterations a resampling's mean may be that of the fastest or of the slowest alone.
    assert (cell["low"], cell["high"]) == (30, 80)


def test_pasted_tables_show_measured_figures_the_papers_and_dashes(tmp_path: Path) -> None:
    asked = suite("bottle", "carpet", seeds=(0, 1))
    for run in runs_of(asked, "table5"):
        if run.category == "bottle":
            measure(tmp_path, run, 0.9 + run.seed / 50, None)
    shown = wide(measured(asked, tmp_path))
    rows = [" ".join(line.split()) for line in markdown(shown).splitlines()]
    assert "| Bottle | 91.00 ± 1.41, – [100, –] | [97] |" in rows
    assert "| Carpet | –, – [99.60, –] | – |" in rows
    tex = latex(shown, "Image & pixel, 95 %", "tab:x")
    assert r"Bottle & 91.00 $\pm$ 1.41, -- [100, --] & [97] \\" in tex
    # An average over other categories than the paper's is marked.
    assert any(row.startswith("| Average |") and "[99.8†, –]" in row for row in rows)
    assert r"[99.8$^\dagger$, --]" in tex
    assert r"\caption{Image \& pixel, 95 \%}" in tex
    assert all(rule in tex for rule in ("\\toprule", "\\midrule", "\\bottomrule"))
    assert list(wide(measured(asked, tmp_path), paper_only=False)) == ["ReConPatch (small)"]
