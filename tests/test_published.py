"""The paper's tables are whole, and agree with each other but for what is listed here.

docs/ambiguities.md says the same in words, under "Where the paper contradicts itself".
"""

import csv
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from itertools import product
from pathlib import Path
from statistics import mean

import pytest

from reconpatch.datasets.published import published_category
from reconpatch.fetching.catalogue import known_datasets

PUBLISHED = Path(__file__).parents[1] / "config" / "published"

Cell = tuple[str, str, str]  # row, column, metric
Place = tuple[str, str, str, str]  # table and cell
Difference = tuple[float, float]  # two figures that should be one

IMAGE, PIXEL = "image_auroc", "pixel_auroc"
TASKS = {"Detection": IMAGE, "Segmentation": PIXEL}
METHODS = ["PatchCore", "ReConPatch"]

KINDS = {name: published_category("mvtec", name) for name in known_datasets()["mvtec"].categories}
OBJECTS = [name for name, category in KINDS.items() if category and category.kind == "object"]
TEXTURES = [name for name, category in KINDS.items() if category and category.kind == "texture"]
GROUPS = {"Object classes": OBJECTS, "Texture classes": TEXTURES, "Average": OBJECTS + TEXTURES}
CLASSES = [*OBJECTS, *TEXTURES, *GROUPS]
BTAD = ["01", "02", "03"]

PNI, OURS_480 = "PNI (WRN-101, 480)", "Ours (WRN-101, 480)"
CFLOW = "CFLOW-AD (WRN-50, 256)"
SPADE, PADIM, PATCHCORE, CFA, OURS = (
    f"{method} (WRN-50, 224)" for method in ["SPADE", "PaDiM", "PatchCore", "CFA", "Ours"]
)
BTAD_METHODS = [
    "VT-ADL",
    "SPADE",
    "PaDiM",
    "FastFlow",
    "PyramidFlow",
    "CFA",
    "RD4AD",
    "RD++",
    "PNI",
    "PatchCore",
    "Ours",
]


def each_task(*columns: str) -> list[Cell]:
    return [(task, column, metric) for task, metric in TASKS.items() for column in columns]


# Table S7's figures are missing from the text that the tables were taken from.
CELLS: dict[str, list[Cell]] = {
    "table1": each_task("Ours-25%", "Ours-10%", "Ours-1%"),
    "table2": list(product(METHODS, ["1024", "512", "256", "128", "64"], [IMAGE])),
    "table3": [
        (row, *task)
        for row in ["p = 3, layers 2+3", "p = 5, layers 2+3", "p = 5, layers 1+2+3"]
        for task in TASKS.items()
    ],
    "table4": [
        (f"{method}, {figure}", column, IMAGE)
        for method, figure in product(METHODS, ["w/o Aug.", "w/ Aug.", "Diff."])
        for column in ["Object", "Texture", "Average"]
    ],
    "table5": list(
        product(CLASSES, [PNI, OURS_480, CFLOW, SPADE, PADIM, PATCHCORE, CFA, OURS], [IMAGE, PIXEL])
    ),
    "table6": each_task("PNI (480)", "Ours (480)", "PatchCore (320)", "Ours (320)"),
    "table7": list(product([*BTAD, "Average"], BTAD_METHODS, [IMAGE, PIXEL])),
    "tableS1": each_task("3", "5", "7", "10", "15", "20"),
    "tableS2": each_task("0.5", "1", "1.5", "2"),
    "tableS3": each_task("0.0", "0.25", "0.5", "0.75", "1.0"),
    "tableS4": [("Detection", f"{use} Proj. Layer", IMAGE) for use in ["w/o", "w/"]],
    "tableS5": [
        (row, f"{method}, {figure}", IMAGE)
        for row, method, figure in product(CLASSES, METHODS, ["w/o Aug.", "w/ Aug.", "Diff"])
    ],
    "tableS6": [(method, "Avg. inference time", "inference_ms") for method in METHODS],
    "tableS7": [],  # Not in our copy of the paper's text.
    "tableS8": each_task(
        "ReConPatch (480)",
        "ReConPatch, refined (480)",
        "ReConPatch (320)",
        "ReConPatch, refined (320)",
    ),
}
NOT_PRINTED: dict[str, set[Cell]] = {
    "table5": {
        (row, *cell)
        for row in set(CLASSES) - {"Average"}
        for cell in [(SPADE, IMAGE), (PADIM, IMAGE), (CFA, PIXEL)]
    },
    "table7": {(row, "PNI", IMAGE) for row in [*BTAD, "Average"]},
}


def cells(table: str) -> list[tuple[Cell, str]]:
    with (PUBLISHED / f"{table}.csv").open() as file:
        header, *lines = csv.reader(file)
    assert header == ["row", "column", "metric", "value"]
    return [((row, column, metric), value) for row, column, metric, value in lines]


@cache
def figures(table: str) -> dict[Cell, Decimal]:
    return {cell: Decimal(value) for cell, value in cells(table) if value}


def figure_at(place: Place) -> Decimal:
    table, *cell = place
    return figures(table)[cell[0], cell[1], cell[2]]


def different(printed: Decimal, other: Decimal) -> Difference:
    return float(printed), round(float(other), 2)


# --- Whole -------------------------------------------------------------------------------------


def test_no_table_is_missing() -> None:
    assert {file.stem for file in PUBLISHED.iterdir()} == set(CELLS)


@pytest.mark.parametrize("table", CELLS)
def test_every_cell_is_there_once(table: str) -> None:
    read = cells(table)
    assert sorted(cell for cell, _ in read) == sorted(CELLS[table])
    assert {cell for cell, value in read if not value} == NOT_PRINTED.get(table, set())
    assert all(re.fullmatch(r"-?\d+(\.\d+)?|", value) for _, value in read)


# --- Means -------------------------------------------------------------------------------------


def means(table: str) -> Iterator[tuple[Cell, Decimal, list[Decimal]]]:
    """Go over the printed means and what they are the means of."""
    groups = {"Average": BTAD} if table == "table7" else GROUPS
    of = figures(table)
    for (row, column, metric), printed in of.items():
        members = [(member, column, metric) for member in groups.get(row, [])]
        # Table S5's differences are differences of means, rounded but once; SPADE's, PaDiM's
        # and CFA's printed means have no printed members.
        if members and members[0] in of and not column.endswith("Diff"):
            yield (row, column, metric), printed, [of[member] for member in members]


def test_means_are_those_of_the_classes() -> None:
    off = {}
    for table in ["table5", "table7", "tableS5"]:
        for cell, printed, members in means(table):
            # A trailing zero is not printed, so that a figure alone does not tell its places.
            places = min(int(figure.as_tuple().exponent) for figure in [printed, *members])
            if abs(mean(members) - printed) > Decimal(1).scaleb(places) / 2:
                off[table, *cell] = different(printed, mean(members))
    assert off == {
        ("tableS5", "Average", "PatchCore, w/ Aug.", IMAGE): (95.48, 95.27),
        ("tableS5", "Average", "ReConPatch, w/ Aug.", IMAGE): (98.56, 98.26),
    }


@pytest.mark.parametrize("method", METHODS)
def test_averages_with_augmentation_are_means_of_the_two_groups_means(method: str) -> None:
    objects, textures, average = (
        figures("tableS5")[group, f"{method}, w/ Aug.", IMAGE] for group in GROUPS
    )
    assert abs((objects + textures) / 2 - average) <= Decimal("0.005")


# --- Differences -------------------------------------------------------------------------------


def table4_as_table_s5() -> dict[Cell, Decimal]:
    rows = {"Object": "Object classes", "Texture": "Texture classes", "Average": "Average"}
    return {
        (rows[column], row.replace("Diff.", "Diff"), metric): figure
        for (row, column, metric), figure in figures("table4").items()
    }


def test_differences_are_those_of_the_figures_beside_them() -> None:
    off = {}
    for table, of in {"4": table4_as_table_s5(), "S5": figures("tableS5")}.items():
        for row, method in product({row for row, _, _ in of}, METHODS):
            without, with_, printed = (
                of[row, f"{method}, {figure}", IMAGE] for figure in ["w/o Aug.", "w/ Aug.", "Diff"]
            )
            if printed != without - with_:
                off[table, row, method] = different(printed, without - with_)
    assert off == {("4", "Object classes", "PatchCore"): (9.94, 4.31)}


# --- One figure in several tables --------------------------------------------------------------

SAME: dict[str, list[Place]] = {
    "ReConPatch as recommended, image AUROC": [
        ("table2", "ReConPatch", "512", IMAGE),
        ("table3", "p = 3, layers 2+3", "Detection", IMAGE),
        ("table4", "ReConPatch, w/o Aug.", "Average", IMAGE),
        ("table5", "Average", OURS, IMAGE),
        ("tableS1", "Detection", "5", IMAGE),
        ("tableS2", "Detection", "1", IMAGE),
        ("tableS3", "Detection", "0.5", IMAGE),
        ("tableS4", "Detection", "w/ Proj. Layer", IMAGE),
        ("tableS5", "Average", "ReConPatch, w/o Aug.", IMAGE),
    ],
    "ReConPatch as recommended, pixel AUROC": [
        ("table3", "p = 3, layers 2+3", "Segmentation", PIXEL),
        ("tableS1", "Segmentation", "5", PIXEL),
        ("tableS2", "Segmentation", "1", PIXEL),
        ("tableS3", "Segmentation", "0.5", PIXEL),
    ],
    "ReConPatch as recommended for maps": [
        ("table3", "p = 5, layers 1+2+3", "Segmentation", PIXEL),
        ("table5", "Average", OURS, PIXEL),
    ],
    "ReConPatch of 1,024 dimensions": [
        ("table1", "Detection", "Ours-1%", IMAGE),
        ("table2", "ReConPatch", "1024", IMAGE),
    ],
    "PatchCore of 1,024 dimensions": [
        ("table2", "PatchCore", "1024", IMAGE),
        ("table4", "PatchCore, w/o Aug.", "Average", IMAGE),
        ("table5", "Average", PATCHCORE, IMAGE),
        ("tableS5", "Average", "PatchCore, w/o Aug.", IMAGE),
    ],
} | {
    f"ensemble at {size} px, {metric}": [
        ("table6", task, f"Ours ({size})", metric),
        ("tableS8", task, f"ReConPatch ({size})", metric),
    ]
    for (task, metric), size in product(TASKS.items(), [480, 320])
}


@pytest.mark.parametrize("setting", SAME)
def test_tables_agree_on_a_setting(setting: str) -> None:
    assert len({figure_at(place) for place in SAME[setting]}) == 1


def test_table_4_sums_up_table_s5() -> None:
    detailed = figures("tableS5")
    off = {
        cell: different(printed, detailed[cell])
        for cell, printed in table4_as_table_s5().items()
        if printed != detailed[cell]
    }
    assert off == {("Object classes", "PatchCore, Diff", IMAGE): (9.94, 4.31)}


@pytest.mark.parametrize(("column", "method"), [(PATCHCORE, "PatchCore"), (OURS, "ReConPatch")])
def test_table_s5_without_augmentation_is_table_5(column: str, method: str) -> None:
    plain, augmented = figures("table5"), figures("tableS5")
    for row in CLASSES:
        assert augmented[row, f"{method}, w/o Aug.", IMAGE] == plain[row, column, IMAGE]


# --- The text beside the tables ----------------------------------------------------------------

QUOTED: dict[tuple[str, str], Place] = {
    ("Abstract, 4.3", "99.72"): ("table6", "Detection", "Ours (480)", IMAGE),
    ("Abstract, 4.4", "95.8"): ("table7", "Average", "Ours", IMAGE),
    ("4.2", "98.18"): ("table3", "p = 5, layers 1+2+3", "Segmentation", PIXEL),
    ("4.2", "3.62"): ("table4", "PatchCore, Diff.", "Average", IMAGE),
    ("4.2", "1.0"): ("table4", "ReConPatch, Diff.", "Average", IMAGE),
    ("4.3, 4.5", "99.56"): ("table5", "Average", OURS, IMAGE),
    ("4.3, of CFA", "99.3"): ("table5", "Average", CFA, IMAGE),
    ("4.3, of PNI", "99.62"): ("table5", "Average", PNI, IMAGE),
    ("4.3", "98.18"): ("table5", "Average", OURS, PIXEL),
    ("4.3", "99.67"): ("table6", "Detection", "Ours (320)", IMAGE),
    ("4.3", "99.63"): ("table6", "Detection", "PNI (480)", IMAGE),
    ("4.3", "98.36"): ("table6", "Segmentation", "Ours (320)", PIXEL),
    ("4.4", "97.5"): ("table7", "Average", "Ours", PIXEL),
}


def test_the_text_quotes_the_tables() -> None:
    off = {
        section: different(Decimal(quoted), figure_at(place))
        for (section, quoted), place in QUOTED.items()
        if Decimal(quoted) != figure_at(place)
    }
    assert off == {"4.3, of CFA": (99.3, 99.2), "4.3, of PNI": (99.62, 99.56)}


# Section: ReConPatch's figure and those that the text says it is above.
ABOVE: list[tuple[str, Place, list[Place]]] = [
    (
        "4.2",
        ("table2", "ReConPatch", "64", IMAGE),
        [("table2", "PatchCore", "1024", IMAGE)],
    ),
    (
        "4.3",
        ("table5", "Average", OURS, IMAGE),
        [("table5", "Average", CFA, IMAGE), ("table5", "Average", PNI, IMAGE)],
    ),
    (
        "4.3",
        ("table5", "Average", OURS, PIXEL),
        [("table5", "Average", PATCHCORE, PIXEL)],
    ),
    (
        "4.3",
        ("table6", "Detection", "Ours (320)", IMAGE),
        [("table6", "Detection", "PNI (480)", IMAGE)],
    ),
    (
        "4.3",
        ("table6", "Segmentation", "Ours (320)", PIXEL),
        [("table6", "Segmentation", "PatchCore (320)", PIXEL)],
    ),
    (
        "4.4",
        ("table7", "Average", "Ours", IMAGE),
        [
            ("table7", "Average", method, IMAGE)
            for method in BTAD_METHODS
            if method not in {"Ours", "PNI"}
        ],
    ),
    (
        "4.4",
        ("table7", "Average", "Ours", PIXEL),
        [("table7", "Average", "PatchCore", PIXEL)],
    ),
]


def test_reconpatch_is_above_what_the_text_says_it_is_above() -> None:
    off = {
        (section, other): different(figure_at(ours), figure_at(other))
        for section, ours, others in ABOVE
        for other in others
        if figure_at(ours) <= figure_at(other)
    }
    assert off == {
        ("4.3", ("table5", "Average", PNI, IMAGE)): (99.56, 99.56),
        ("4.4", ("table7", "Average", "PyramidFlow", IMAGE)): (95.8, 95.8),
    }


# Section B.2 has it the other way round.
def test_the_margin_moves_detection_more_than_segmentation() -> None:
    spread = {
        task: max(margins) - min(margins)
        for task in TASKS
        for margins in [[f for (row, *_), f in figures("tableS2").items() if row == task]]
    }
    assert spread == {"Detection": Decimal("0.06"), "Segmentation": Decimal("0.03")}
