"""A category's part of the report page: scores, ROC curves, and its most telling maps."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy.ndimage import binary_erosion

from reconpatch.evaluation.auroc import roc_curve
from reconpatch.features.images import CutOff, cut_off
from reconpatch.reporting.drawings.maps import over_grey
from reconpatch.reporting.formats import METRICS
from reconpatch.reporting.page.table_view import anchor
from reconpatch.reporting.scored_images import Masks, ScoredImages
from reconpatch.reporting.table import Results
from reconpatch.runs.recipe_run import RecipeRun
from reconpatch.settings.recipe import Recipe
from reconpatch.suites.experiments import Metric
from reconpatch.suites.runs import Run
from reconpatch.suites.suite import Place, Suite
from reconpatch.utils.errors import InputError

CPU = torch.device("cpu")
BINS = 24
"""Bars of a histogram."""

SIDE, QUALITY = 192, 82
"""Of a picture: its side in pixels, and WebP's quality."""

SHOWN = 2
"""Pictures of each sort."""
SHARES: tuple[Metric, ...] = (
    "image_auroc",
    "image_ap",
    "image_f1_max",
    "pixel_auroc",
    "pixel_ap",
    "pixel_f1_max",
    "aupro_30",
    "aupro_5",
)
"""The metrics that are shares, as a category's table has them."""

PAPERS = ("PatchCore", "ReConPatch")
"""The methods that every suite may have measured; of the last the page shows maps."""

TRUTH, FOUND = (230, 159, 0), (0, 120, 90)
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Picture:
    """A test image beside its map, as a data URI, with what it shows in words."""

    source: str
    alt: str
    caption: str


@dataclass(frozen=True)
class MethodView:
    """A method's scores in a category, AUROC in percent; ``anchor`` is where the page has its run.

    ``normal`` and ``anomalous`` count the test images of each bar of a histogram between ``ends``.
    Curves are false and true positive rates. Without masks there is nothing about pixels; where no
    score varies there is no ``index``, d'. ``values`` are all metrics as text, by their names.
    """

    name: str
    anchor: str
    image_auroc: float
    pixel_auroc: float | None
    index: float | None
    normal: list[int]
    anomalous: list[int]
    ends: tuple[float, float]
    image_curve: Points
    pixel_curve: Points
    values: dict[str, str]


@dataclass(frozen=True)
class CategoryView:
    """A category: its methods, and pictures by sort, ReConPatch's where it is run.

    ``cut_off`` is what the centre crop leaves out of the defects; None where masks are unreadable.
    """

    place: Place
    model: str
    images: dict[str, int]
    methods: list[MethodView]
    pictures: dict[str, list[Picture]]
    cut_off: CutOff | None
    trouble: str | None


def category_views(suite: Suite, results: Path) -> Iterator[CategoryView]:
    """Yield the categories of which PatchCore or ReConPatch is measured, with the first seed."""
    read = Results(results / "runs")
    for place in suite.places():
        model, runs = _runs(suite, place, read)
        methods = []
        for run, record in runs.items():
            # Of the last one, ReConPatch's where it is run, there are pictures too.
            scored = ScoredImages(RecipeRun(run, results, CPU))
            methods.append(_method(scored, record["metrics"]))
        if not runs:
            continue
        anomalous = int(scored.anomalous.sum())
        images = {
            "training": len(scored.run.test_features.category.train),
            "normal test": len(scored.samples) - anomalous,
            "anomalous test": anomalous,
        }
        pictures: dict[str, list[Picture]] = {}
        cut, trouble = None, None
        try:
            cut = cut_off(scored.samples, scored.run.recipe.features)
            pictures = _pictures(scored)
        except InputError as error:
            trouble = f"No pictures: {error}"
        yield CategoryView(place, model, images, methods, pictures, cut, trouble)


def _runs(suite: Suite, place: Place, read: Results) -> tuple[str, dict[Run, dict[str, Any]]]:
    """The methods' runs with the first model that has any, and its label; ReConPatch's last."""
    for name, model in suite.models.items():
        others = (method for method in suite.methods if method not in PAPERS)
        recipes = [suite.recipe_of(name, method) for method in (*others, *PAPERS)]
        runs = [
            Run(place.dataset, place.category, recipe, suite.seeds[0])
            for recipe in recipes
            if isinstance(recipe, Recipe)
        ]
        if there := {run: record for run in runs if (record := read.record(run, "metrics.json"))}:
            return model.label, there
    return "", {}


def _method(scored: ScoredImages, metrics: dict[str, Any]) -> MethodView:
    images, anomalous = scored.scores.images, scored.anomalous
    edges = np.histogram_bin_edges(images, BINS)
    pixel = metrics["pixel_auroc"]
    return MethodView(
        name=scored.run.recipe.method,
        anchor=anchor("run", scored.run.run.id),
        image_auroc=100 * metrics["image_auroc"],
        pixel_auroc=None if pixel is None else 100 * pixel,
        index=metrics["discriminability_index"],
        normal=np.histogram(images[~anomalous], edges)[0].tolist(),
        anomalous=np.histogram(images[anomalous], edges)[0].tolist(),
        ends=(float(edges[0]), float(edges[-1])),
        image_curve=_curve(images, anomalous),
        pixel_curve=[] if pixel is None else _curve(scored.maps, scored.masks),
        values={
            METRICS[name].name: METRICS[name].text(100 * metrics[name])
            for name in SHARES
            if metrics[name] is not None
        },
    )


def _curve(scores: npt.NDArray[np.floating], positive: Masks) -> Points:
    false, true = roc_curve(scores, positive)
    return list(zip(false.tolist(), true.tolist(), strict=True))


def _pictures(scored: ScoredImages) -> dict[str, list[Picture]]:
    """The best and the worst maps.

    Raises:
        InputError: an image cannot be read.
    """
    by_score = np.argsort(scored.scores.images, kind="stable")
    defective = by_score[scored.anomalous[by_score]]
    good = by_score[~scored.anomalous[by_score]]
    chosen = {
        "Found most clearly": defective[::-1][:SHOWN],
        "Most nearly missed": defective[:SHOWN],
        "Most nearly false alarms": good[::-1][:SHOWN],
    }
    return {
        sort: [_picture(scored, int(index)) for index in indices]
        for sort, indices in chosen.items()
    }


def _picture(scored: ScoredImages, index: int) -> Picture:
    image, anomaly_map, threshold = scored.image(index), scored.maps[index], scored.threshold
    coloured = (255 * over_grey(image, anomaly_map, threshold)).astype(np.uint8)
    both = [
        _outlined(image, scored.masks[index], TRUTH),
        _outlined(coloured, anomaly_map >= threshold, FOUND),
    ]
    small = [np.asarray(Image.fromarray(half).resize((SIDE, SIDE))) for half in both]
    defect = scored.samples[index].defect.replace("_", " ")
    score = scored.scores.images[index] / scored.image_threshold
    called = "called anomalous" if score >= 1 else "called normal"
    return Picture(
        source=data_uri(Image.fromarray(np.hstack(small))),
        alt=f"{defect}: the image, and its anomaly map",
        caption=f"{defect} · score {score:.2f} × threshold, {called}",
    )


def _outlined(
    pixels: npt.NDArray[np.uint8], region: Masks, colour: tuple[int, int, int]
) -> npt.NDArray[np.uint8]:
    drawn = pixels.copy()
    width = max(1, len(pixels) // 96)
    drawn[region & ~binary_erosion(region, iterations=width, border_value=1)] = colour
    return drawn


def data_uri(picture: Image.Image) -> str:
    """Return a picture as a WebP data URI, whichever of the lossy and the lossless is smaller."""
    found = []
    for settings in ({"quality": QUALITY}, {"lossless": True}):
        with BytesIO() as file:
            picture.save(file, "WebP", method=4, **settings)
            found.append(file.getvalue())
    return f"data:image/webp;base64,{b64encode(min(found, key=len)).decode()}"
