"""A figure is held against the paper's on the paper's data, backbones and image sizes alone."""

from pathlib import Path

import pytest

from reconpatch.reporting.comparable import is_comparable
from reconpatch.suites.cells import cells
from reconpatch.suites.suite import load_suite

CONFIG = Path(__file__).parents[2] / "config"
PAPER = (CONFIG / "suites" / "paper.yaml").read_text()


def compared(folder: Path, text: str, table: str = "table5") -> set[str]:
    """The rows with a figure that is held against the paper's."""
    path = folder / "some.yaml"
    path.write_text(text)
    suite = load_suite(path, Path("data"), CONFIG)
    return {cell.row for cell in cells(suite, table) if is_comparable(suite, cell)}


def test_the_papers_own_suite_is_comparable_throughout(tmp_path: Path) -> None:
    suite = load_suite(CONFIG / "suites" / "paper.yaml", Path("data"), CONFIG)
    for table in ("table1", "table4", "table5", "table6", "table7", "tableS8"):
        assert all(is_comparable(suite, cell) for cell in cells(suite, table)), table


def test_a_mean_over_some_categories_is_not_the_papers(tmp_path: Path) -> None:
    rows = compared(tmp_path, PAPER.replace("      - wood\n", ""))
    assert {"bottle", "Object classes", "carpet"} <= rows
    assert rows.isdisjoint({"Texture classes", "Average", "wood"})


@pytest.mark.parametrize(
    ("theirs", "others"),
    [
        ("backbone: wide_resnet50_2,", "backbone: efficientnet_lite0,"),
        ("backbone: wide_resnet50_2,", "backbone: wide_resnet50_2, crop: 192,"),
        ("dataset: mvtec,", "dataset: mine,"),
    ],
)
def test_other_backbones_sizes_and_images_are_not_the_papers(
    tmp_path: Path, theirs: str, others: str
) -> None:
    assert theirs in PAPER
    assert compared(tmp_path, PAPER.replace(theirs, others), "table1") == set()


def test_what_stands_in_is_not_what_it_stands_for(tmp_path: Path) -> None:
    for name in ("demo", "elpv"):
        text = (CONFIG / "suites" / f"{name}.yaml").read_text()
        assert not any(compared(tmp_path, text, table) for table in ("table5", "table7"))
