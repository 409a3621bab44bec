from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from reconpatch.refinement.defects import Simulated
from reconpatch.reporting.drawings import (
    defects,
    diagnostics,
    embedding,
    epochs,
    histogram,
    maps,
    memory,
    ranks,
    refinement,
    sweep,
)
from reconpatch.reporting.drawings.style import GREEN, ORANGE, save
from tests import naive

RNG = np.random.default_rng(0)
POSITIONS = RNG.integers(0, (6, 9), (50, 2))
PANELS = [{"PatchCore": 0, "ReConPatch": 1}, {"1 epoch": 2, "5 epochs": 3, "9 epochs": 4}]
COORDINATES = RNG.normal(size=(5, 50, 2))
SCORES = {
    "PatchCore": pd.DataFrame({"score": [1.0, 2, 2, 3, 4], "anomalous": [False] * 3 + [True] * 2}),
    "ReConPatch": pd.DataFrame({"score": [1.0, 1, 4, 6], "anomalous": [False] * 2 + [True] * 2}),
}
SIZES = pd.DataFrame(
    [
        (method, metric, megabytes, 90 + worth + megabytes / 9, 90 + worth, 99.0)
        for worth, method in enumerate(["PatchCore", "ReConPatch"])
        for metric in ("image_auroc", "pixel_auroc")
        for megabytes in (16.0, 4.0, 1.0)
    ],
    columns=["method", "metric", "megabytes", "value", "low", "high"],
)
# The rank falls with AUROC on weave and rises with it on mono; on bottle all maps are equal.
WATCHED_AS = {"effective_rank": "Effective rank", "labels_near_zero": "Pseudo-labels near 0"}
WATCHED = pd.DataFrame(
    [
        (f"map {i}", category, 90 + worth * i**2, 10.0 + i, np.nan)
        for i in range(5)
        for category, worth in (("weave", -1), ("mono", 1), ("bottle", 0))
    ],
    columns=["map", "category", "image_auroc", *WATCHED_AS],
)


def example(category: str, defect: str) -> maps.Example:
    """A rectangle of 6 x 4 pixels scores 2 (and one pixel of it 3) among 0, unless all is good."""
    mask = np.zeros((32, 32), dtype=bool)
    if defect != "good":
        mask[10:16, 20:24] = True
    scores = np.where(mask, 2, 0).astype(np.float32)
    scores[12, 21] += 3
    image = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    return maps.Example(category, defect, image, mask, scores, threshold=1)


def draw_embedding() -> Figure:
    rows = [{title: COORDINATES[i] for title, i in row.items()} for row in PANELS]
    return embedding.draw(rows, POSITIONS, (6, 9))


def draw_maps() -> Figure:
    kinds = ["cut_outer_insulation", *["crack"] * 7, "good"]
    return maps.draw([example(f"metal_nut_{i}", kind) for i, kind in enumerate(kinds)])


def refined(category: str) -> refinement.Refinement:
    """The refined map is the truth, but for one pixel; the plain one is that of ``example``."""
    found = example(category, "crack")
    scores = found.mask.astype(np.float32)
    scores[0, 0] = 2
    return refinement.Refinement(
        category, "crack", found.image, found.mask, found.anomaly_map, scores
    )


def draw_refinement() -> Figure:
    return refinement.draw([refined(f"metal_nut_{i}") for i in range(3)])


def draw_defects() -> Figure:
    image = np.zeros((16, 16, 3), np.uint8)
    changed = Simulated(image + 9, np.eye(16, dtype=np.bool_))
    return defects.draw([image, image], {"structure": [changed] * 2, "texture": [changed] * 2})


SWEPT = pd.DataFrame(
    {
        "value": ["0.1", "1", "0.1", "1"],
        "metric": ["image_auroc", "image_auroc", "pixel_auroc", "pixel_auroc"],
        "measured": [99.0, 98.0, 97.0, 96.5],
        "low": [98.0, 97.5, 96.0, 95.0],
        "high": [99.5, 98.5, 98.0, 97.0],
        "own": [False, True, False, True],
    }
)
# Of six categories A leads B in four, and C is last.
RANKED = {
    metric: pd.DataFrame({"A": [3, 3, 3, 3, 2, 2], "B": [2, 2, 2, 2, 3, 3], "C": [1.0] * 6})
    for metric in ("image_auroc", "pixel_auroc")
}
TRAINED = pd.DataFrame(
    {
        "method": ["A", "A", "B", "B"] * 2,
        "metric": ["image_auroc"] * 4 + ["pixel_auroc"] * 4,
        "epoch": [1, 2] * 4,
        "value": [97.0, 96.0, 95.0, 99.0] * 2,
    }
)
FIGURES: dict[str, Callable[[], Figure]] = {
    "embedding": draw_embedding,
    "histogram": lambda: histogram.draw(SCORES),
    "maps": draw_maps,
    "memory": lambda: memory.draw(SIZES),
    "diagnostics": lambda: diagnostics.draw(WATCHED, WATCHED_AS),
    "refinement": draw_refinement,
    "defects": draw_defects,
    "sweep": lambda: sweep.draw(SWEPT),
    "ranks": lambda: ranks.draw(RANKED),
    "epochs": lambda: epochs.draw(TRAINED),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_written_with_legible_text_and_leave_nothing_behind(
    name: str, tmp_path: Path
) -> None:
    before = dict(mpl.rcParams)
    figure = FIGURES[name]()
    save(figure, tmp_path / "v1.0")
    png, svg = tmp_path / "v1.0.png", tmp_path / "v1.0.svg"
    assert sorted(tmp_path.iterdir()) == [png, svg]
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []
    with Image.open(png) as picture:
        assert picture.width == int(300 * figure.get_figwidth())
        assert np.ptp(np.asarray(picture.convert("L"))) > 100
    texts = [text for text in figure.findobj(Text) if text.get_text().strip()]
    assert min(text.get_fontsize() for text in texts) >= 7
    title = figure.axes[0].get_title()
    assert all(line in svg.read_text() for line in title.split("\n"))
    first = svg.read_bytes(), png.read_bytes()
    save(FIGURES[name](), tmp_path / "v1.0")
    assert (svg.read_bytes(), png.read_bytes()) == first


def test_embedding_has_a_panel_a_space_and_a_key_to_the_colours() -> None:
    *panels, key = draw_embedding().axes
    assert [axes.get_title() for axes in panels] == [title for row in PANELS for title in row]
    colours = np.asarray(key.images[0].get_array())
    assert colours.shape == (6, 9, 3)
    for axes, coordinates in zip(panels, COORDINATES, strict=True):
        (points,) = axes.collections
        np.testing.assert_array_equal(points.get_offsets(), coordinates)
        shown = points.get_facecolors()[:, :3]
        np.testing.assert_allclose(shown, colours[tuple(POSITIONS.T)])
    tops = [axes.get_position().y0 for axes in panels]
    assert min(tops[:2]) > max(tops[2:])


# What red-green blindness makes of linear RGB (Machado et al. 2009, severity 1).
PROTANOPIA = [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
]
DEUTERANOPIA = [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
]


@pytest.mark.parametrize("vision", [np.eye(3), PROTANOPIA, DEUTERANOPIA])
def test_colours_of_places_differ_for_red_green_blindness_too(vision: list[list[float]]) -> None:
    colours = embedding.position_colours(4, 4)
    assert colours.min() >= 0
    assert colours.max() <= 1
    seen = (colours.reshape(-1, 3) ** 2.2 @ np.transpose(vision)).clip(0, 1) ** (1 / 2.2)
    distances = np.linalg.norm(seen[:, None] - seen, axis=-1)
    assert distances[~np.eye(16, dtype=bool)].min() > 0.1


def test_histograms_say_how_far_apart_the_classes_are() -> None:
    figure = histogram.draw(SCORES)
    for axes, (method, images) in zip(figure.axes, SCORES.items(), strict=True):
        normal, anomalous = (
            images["score"][images["anomalous"] == kind].tolist() for kind in (False, True)
        )
        index = naive.eq12_discriminability_index(normal, anomalous)
        assert axes.get_title() == f"{method}\nd′ = {index:.2f}"
        # One outline a class: as high as its fullest bin, as wide as its scores.
        for outline, scores in zip(axes.patches, (normal, anomalous), strict=True):
            x, y = outline.get_path().vertices.T
            assert y.max() == max(scores.count(score) for score in scores)
            filled = x[y > 0]
            assert filled.min() <= min(scores) <= max(scores) <= filled.max()
        assert len({outline.get_hatch() for outline in axes.patches}) == 2
    assert [text.get_text() for text in figure.legends[0].texts] == ["normal", "anomalous"]


def test_a_method_whose_scores_do_not_vary_has_no_index() -> None:
    same = pd.DataFrame({"score": [1.0, 1, 2], "anomalous": [False, False, True]})
    (axes,) = histogram.draw({"PatchCore": same}).axes
    assert axes.get_title() == "PatchCore\nd′ = undefined"


def contours(axes: Axes) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The outermost points of each contour by its colour: lowest and highest x and y."""
    sets = [found for found in axes.collections if isinstance(found, QuadContourSet)]
    vertices = {to_hex(s.get_edgecolor()[0]): s.get_paths()[0].vertices for s in sets}
    return {colour: (points.min(axis=0), points.max(axis=0)) for colour, points in vertices.items()}


def test_maps_mark_the_truth_the_threshold_and_the_highest_score() -> None:
    defective, good = example("metal_nut", "cut_outer_insulation"), example("pill", "good")
    figure = maps.draw([defective, good])
    panels = np.array(figure.axes[:4]).reshape(2, 2)
    assert [axes.get_title() for axes in panels[0, :2]] == [
        "metal nut\ncut outer\ninsulation",
        "pill\ngood",
    ]
    assert [axes.get_ylabel() for axes in panels[:, 0]] == ["Image", "Anomaly map"]
    np.testing.assert_array_equal(panels[0, 0].images[0].get_array(), defective.image)
    for axes in panels[1, :2]:
        (star,) = axes.lines
        assert (star.get_marker(), *star.get_xydata()[0]) == ("*", 21, 12)
    found = contours(panels[1, 0])
    assert set(found) == {ORANGE, GREEN}
    # Half way between the rectangle and its surroundings, of which half is the threshold too.
    for lowest, highest in found.values():
        np.testing.assert_allclose([lowest, highest], [[19.5, 9.5], [23.5, 15.5]])
    assert set(contours(panels[1, 1])) == {GREEN}


def test_a_map_below_its_threshold_has_no_green_line() -> None:
    found = example("pill", "crack")
    quiet = maps.Example(
        found.category, found.defect, found.image, found.mask, found.anomaly_map / 9, threshold=1
    )
    assert set(contours(maps.draw([quiet]).axes[1])) == {ORANGE}


def test_memory_has_a_line_a_method_over_rising_sizes() -> None:
    figure = memory.draw(SIZES)
    assert [axes.get_title() for axes in figure.axes] == ["Image AUROC (%)", "Pixel AUROC (%)"]
    assert "MB" in figure.get_supxlabel()
    for axes in figure.axes:
        assert axes.get_xscale() == "log"
        looks = set()
        for worth, (line, band) in enumerate(zip(axes.lines, axes.collections, strict=True)):
            np.testing.assert_array_equal(line.get_xdata(), [1, 4, 16])
            values = line.get_ydata().astype(float)
            np.testing.assert_allclose(values, 90 + worth + np.array([1, 4, 16]) / 9)
            heights = band.get_paths()[0].vertices[:, 1]
            assert (heights.min(), heights.max()) == (90 + worth, 99)
            looks.add((line.get_marker(), line.get_linestyle()))
        assert len(looks) == 2


def test_memory_without_intervals_has_no_bands() -> None:
    plain = memory.draw(SIZES.drop(columns=["low", "high"])).axes[0]
    assert (len(plain.lines), len(plain.collections)) == (2, 0)


def test_diagnostics_are_ranked_against_auroc_within_each_category() -> None:
    watched = WATCHED[WATCHED["category"] != "weave"]
    ranked, blank = diagnostics.draw(watched, WATCHED_AS).axes
    assert ranked.get_title() == "ρ = 1.00 (1.00 to 1.00)"
    assert blank.get_title() == "no correlation"
    assert diagnostics.draw(WATCHED, WATCHED_AS).axes[0].get_title() == "ρ = 0.00 (-1.00 to 1.00)"
    mono = ranked.collections[0].get_offsets()
    np.testing.assert_allclose(mono, [[10 + i, i**2 - 6] for i in range(5)])


def test_refinement_shows_both_maps_and_what_each_is_worth() -> None:
    panels = np.array(draw_refinement().axes).reshape(5, 3)
    labels = ["Image", "Ground truth", "Anomaly map", "Refined map", "Pixel ROC"]
    assert [axes.get_ylabel() for axes in panels[:, 0]] == labels
    found = refined("metal_nut_0")
    assert panels[0, 0].get_title() == "metal nut 0\ncrack"
    shown = [np.asarray(axes.images[0].get_array()) for axes in panels[:4, 0]]
    for array, expected in zip(
        shown, (found.image, found.mask, found.anomaly_map, found.refined), strict=True
    ):
        np.testing.assert_array_equal(array, expected)
    # The plain map has no pixel out of place, the refined one a single one of a thousand.
    curves = {line.get_label(): line.get_xydata() for line in panels[4, 0].lines}
    assert (0, 1) in [tuple(point) for point in curves["anomaly map"]]
    assert (1 / 1000, 1) in [tuple(point) for point in curves["refined map"]]


def test_refinement_without_masks_says_so() -> None:
    (text,) = refinement.draw([]).texts
    assert text.get_text() == "No test image has a mask."


def test_the_preview_has_each_kind_beside_its_mask() -> None:
    panels = np.array(draw_defects().axes).reshape(2, 5)
    assert [axes.get_title() for axes in panels[0]] == [
        "normal",
        "structure",
        "structure: mask",
        "texture",
        "texture: mask",
    ]
    for row in panels:
        np.testing.assert_array_equal(row[3].images[0].get_array(), np.full((16, 16, 3), 9))
        np.testing.assert_array_equal(row[4].images[0].get_array(), np.eye(16))


def test_a_sweep_draws_each_value_with_its_interval_and_fills_the_suites_own() -> None:
    image, pixel = sweep.draw(SWEPT).axes
    assert [axes.get_title() for axes in (image, pixel)] == ["Image AUROC (%)", "Pixel AUROC (%)"]
    lines = [line.get_ydata() for line in image.lines[::2]]
    assert [list(ends) for ends in lines] == [[98.0, 99.5], [97.5, 98.5]]
    points = image.lines[1::2]
    assert [list(point.get_ydata()) for point in points] == [[99.0], [98.0]]
    assert [point.get_markerfacecolor() == "white" for point in points] == [True, False]
    assert [tick.get_text() for tick in image.get_xticklabels()] == ["0.1", "1"]


def test_ranks_stand_at_their_means_and_bars_join_what_is_not_told_apart() -> None:
    image, pixel = ranks.draw(RANKED).axes
    assert image.get_title() == "Image AUROC (%), mean rank over 6 categories"
    assert pixel.get_title().startswith("Pixel AUROC (%)")
    texts = [text.get_text() for text in image.texts]
    # 2.343 sqrt(3 x 4 / (6 x 6)) = 1.35: A is told from C, B from neither.
    assert {"A 1.33", "B 1.67", "C 3.00", "CD 1.35"} <= set(texts)
    bars = [line.get_xdata() for line in image.lines if line.get_linewidth() == 3]
    np.testing.assert_allclose(bars, [[4 / 3, 5 / 3], [5 / 3, 3]])


def test_no_bar_lies_within_another() -> None:
    found = ranks.groups(np.array([1.0, 1.5, 2.0, 3.5, 4.0]), 1.1)
    assert found == [(1.0, 2.0), (3.5, 4.0)]
    assert ranks.groups(np.array([1.0, 2.0, 3.0]), 1.0) == []
    assert ranks.groups(np.array([1.0, 2.0, 3.0]), 1.5) == [(1.0, 2.0), (2.0, 3.0)]
    assert ranks.groups(np.array([2.0, 2.0]), 1.0) == []


def test_the_best_epoch_is_ringed_and_the_last_one_filled() -> None:
    figure = epochs.draw(TRAINED)
    ends = {
        (line.get_label(), line.get_markersize(), *map(float, line.get_data()[0]))
        for line in figure.axes[0].lines
        if len(line.get_data()[0]) == 1
    }
    assert sorted((size, at) for _, size, at in ends) == [(4, 2), (4, 2), (8, 1), (8, 2)]
