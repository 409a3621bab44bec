from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reconpatch.files import write_json
from reconpatch.reporting import latex, markdown, table5, wide
from reconpatch.suite import Suite

PUBLISHED = pd.DataFrame(
    [
        ("bottle", "Ours", "image_auroc", 100.0),
        ("bottle", "Ours", "pixel_auroc", None),
        ("carpet", "Ours", "image_auroc", 99.6),
        ("Average", "Ours", "image_auroc", 99.8),
    ],
    columns=["row", "column", "metric", "value"],
)
KINDS = {"bottle": "object", "carpet": "texture", "cell": None}


def suite(*categories: str, seeds: tuple[int, ...] = (0,)) -> Suite:
    return Suite.model_validate(
        {
            "name": "made-up",
            "title": "made up",
            "datasets": [
                {
                    "source": {"layout": "mvtec", "dataset": "set", "root": "data"},
                    "categories": categories,
                }
            ],
            "seeds": seeds,
            "keep_features": True,
            "table5": [{"name": "ReConPatch", "published": "Ours", "recipe": {}}],
        }
    )


def measure(results: Path, of: Suite, image: dict[str, float], pixel: float | None = 0.9) -> None:
    """Leave the metrics of each run whose category is named; a seed adds a hundredth."""
    for run in of.runs():
        if run.category not in image:
            continue
        metrics: dict[str, Any] = {
            "image_auroc": image[run.category] + run.seed / 100,
            "pixel_auroc": pixel if KINDS[run.category] else None,
        }
        reasons = {} if KINDS[run.category] else {"pixel_auroc": "the category has no masks"}
        content = {"kind": KINDS[run.category], "metrics": metrics, "reasons": reasons}
        write_json(results / run.id / "metrics.json", content)


def image_figures(table: pd.DataFrame) -> dict[str, float]:
    return table[table["metric"] == "image_auroc"].set_index("row")["measured"].to_dict()


def test_rows_are_the_papers_and_means_are_over_their_categories(tmp_path: Path) -> None:
    asked = suite("carpet", "cell", "bottle")
    measure(tmp_path, asked, {"carpet": 0.8, "cell": 0.6, "bottle": 1.0})
    table = table5(asked, tmp_path, PUBLISHED)
    assert list(image_figures(table).items()) == [
        ("bottle", 100),
        ("Object classes", 100),
        ("carpet", 80),
        ("Texture classes", 80),
        ("cell", 60),
        ("Average", pytest.approx(80)),
    ]
    pixel = table[table["metric"] == "pixel_auroc"].set_index("row")["measured"]
    assert pd.isna(pixel["cell"])
    assert pixel["Average"] == pytest.approx(90)


def test_a_figure_is_the_mean_over_seeds_and_names_their_runs(tmp_path: Path) -> None:
    asked = suite("bottle", seeds=(0, 2))
    measure(tmp_path, asked, {"bottle": 0.9})
    table = table5(asked, tmp_path, PUBLISHED).set_index(["row", "metric"])
    cell = table.loc[("bottle", "image_auroc")]
    assert cell["measured"] == pytest.approx(91)
    assert cell["run"].split() == [run.id for run in asked.runs()]


def test_what_was_not_measured_is_blank_and_so_is_its_mean(tmp_path: Path) -> None:
    asked = suite("bottle", "carpet")
    measure(tmp_path, asked, {"bottle": 0.9})
    figures = image_figures(table5(asked, tmp_path, PUBLISHED))
    assert figures["bottle"] == 90
    assert pd.isna(figures["carpet"])
    assert pd.isna(figures["Average"])


def test_half_of_the_seeds_is_no_figure(tmp_path: Path) -> None:
    measure(tmp_path, suite("bottle", seeds=(0,)), {"bottle": 0.9})
    figures = image_figures(table5(suite("bottle", seeds=(0, 1)), tmp_path, PUBLISHED))
    assert pd.isna(figures["bottle"])


def test_the_papers_average_stands_only_beside_its_own_categories(tmp_path: Path) -> None:
    def papers(asked: Suite) -> dict[str, float]:
        table = table5(asked, tmp_path, PUBLISHED)
        return table[table["metric"] == "image_auroc"].set_index("row")["paper"].to_dict()

    assert papers(suite("bottle", "carpet"))["Average"] == 99.8
    only_bottle = papers(suite("bottle"))
    assert only_bottle["bottle"] == 100
    assert pd.isna(only_bottle["Average"])


def test_pasted_tables_show_the_figures_and_dashes(tmp_path: Path) -> None:
    asked = suite("bottle", "cell")
    measure(tmp_path, asked, {"bottle": 0.98765, "cell": 0.5})
    table = wide(table5(asked, tmp_path, PUBLISHED))
    text = markdown(table)
    assert "| Bottle         | (98.77, 90.00) | (100.00, –)         |" in text.splitlines()
    tex = latex(table, "Image & pixel", "tab:x")
    assert "Bottle & (98.77, 90.00) & (100.00, --) \\\\" in tex
    assert all(rule in tex for rule in ("\\toprule", "\\midrule", "\\bottomrule"))
