"""A category's part of the report page: scores, ROC curves, and its most telling maps."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy.ndimage import binary_erosion

from reconpatch.datasets.category import Category
from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.detection.scores import Scores
from reconpatch.evaluation.auroc import roc_curve
from reconpatch.features.images import image_batches
from reconpatch.reporting.drawings.maps import COLOURS
from reconpatch.reporting.table import Results
from reconpatch.reporting.threshold import best_f1_threshold
from reconpatch.runs.recipe_run import RecipeRun
from reconpatch.runs.score_files import read_scores
from reconpatch.settings.recipe import Recipe
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
PAPERS = ("PatchCore", "ReConPatch")
"""The methods that every suite may have measured; of the last the page shows maps."""

TRUTH, FOUND = (230, 159, 0), (0, 120, 90)
Masks = npt.NDArray[np.bool_]
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Picture:
    """A test image beside its map, as a data URI, with what it shows in words."""

    source: str
    alt: str
    caption: str


@dataclass(frozen=True)
class MethodView:
    """A method's scores in a category.

    Attributes:
        name: the method.
        run: its run.
        image_auroc: in percent.
        pixel_auroc: in percent; None without masks.
        index: d'; None where no score varies.
        normal: how many normal test images each bar of the histogram has.
        anomalous: the same of the anomalous ones.
        ends: the scores at the histogram's ends.
        image_curve: the ROC curve over images: false and true positive rates.
        pixel_curve: the same over pixels; empty without masks.
    """

    name: str
    run: Run
    image_auroc: float
    pixel_auroc: float | None
    index: float | None
    normal: list[int]
    anomalous: list[int]
    ends: tuple[float, float]
    image_curve: Points
    pixel_curve: Points


@dataclass(frozen=True)
class CategoryView:
    """A category: its methods, and pictures by sort, ReConPatch's where it is run."""

    place: Place
    model: str
    images: dict[str, int]
    methods: tuple[MethodView, ...]
    pictures: dict[str, list[Picture]]
    trouble: str | None


def category_views(suite: Suite, results: Path) -> Iterator[CategoryView]:
    """Yield the categories of which PatchCore or ReConPatch is measured, with the first seed."""
    read = Results(results / "runs")
    for place in suite.places():
        model, runs = _runs(suite, place, read)
        if not runs:
            continue
        methods: list[MethodView] = []
        pictures: dict[str, list[Picture]] = {}
        trouble: str | None = None
        for run in runs:
            recipe_run = RecipeRun(run, results, CPU)
            method, found = _method(recipe_run, read, pictures=run == runs[-1])
            methods.append(method)
            if run == runs[-1]:
                pictures, trouble = found
        category = RecipeRun(runs[0], results, CPU).test_features.category
        yield CategoryView(place, model, _counts(category), tuple(methods), pictures, trouble)


def _runs(suite: Suite, place: Place, read: Results) -> tuple[str, list[Run]]:
    """The methods' runs with the first model that has any, and its label; ReConPatch's last."""
    for name, model in suite.models.items():
        others = (method for method in suite.methods if method not in PAPERS)
        recipes = [suite.recipe_of(name, method) for method in (*others, *PAPERS)]
        runs = [
            Run(place.dataset, place.category, recipe, suite.seeds[0])
            for recipe in recipes
            if isinstance(recipe, Recipe)
        ]
        if there := [run for run in runs if read.record(run, "metrics.json")]:
            return model.label, there
    return "", []


def _counts(category: Category) -> dict[str, int]:
    anomalous = sum(sample.anomalous for sample in category.test)
    return {
        "training": len(category.train),
        "normal test": len(category.test) - anomalous,
        "anomalous test": anomalous,
    }


def _method(
    run: RecipeRun, read: Results, *, pictures: bool
) -> tuple[MethodView, tuple[dict[str, list[Picture]], str | None]]:
    store = run.test_features
    record = read.record(run.run, "metrics.json")
    assert record
    scores = read_scores(run.folder / "patch_scores.npz")
    anomalous = np.array([sample.anomalous for sample in store.category.test])
    edges = np.histogram_bin_edges(scores.images, BINS)
    masks = store.masks()
    maps = anomaly_maps(scores.patches, run.recipe.features.crop, run.recipe.maps)
    metrics = record["metrics"]
    pixel = metrics["pixel_auroc"]
    method = MethodView(
        name=run.recipe.method,
        run=run.run,
        image_auroc=100 * metrics["image_auroc"],
        pixel_auroc=None if pixel is None else 100 * pixel,
        index=metrics["discriminability_index"],
        normal=np.histogram(scores.images[~anomalous], edges)[0].tolist(),
        anomalous=np.histogram(scores.images[anomalous], edges)[0].tolist(),
        ends=(float(edges[0]), float(edges[-1])),
        image_curve=_curve(scores.images, anomalous),
        pixel_curve=[] if pixel is None else _curve(maps, masks),
    )
    if not pictures:
        return method, ({}, None)
    return method, _pictures(run, scores, maps, masks, anomalous)


def _curve(scores: npt.NDArray[np.floating], positive: Masks) -> Points:
    false, true = roc_curve(scores, positive)
    return list(zip(false.tolist(), true.tolist(), strict=True))


def _pictures(
    run: RecipeRun,
    scores: Scores,
    maps: npt.NDArray[np.float32],
    masks: Masks,
    anomalous: Masks,
) -> tuple[dict[str, list[Picture]], str | None]:
    """The best and the worst maps; or what stands against drawing them."""
    by_score = np.argsort(scores.images, kind="stable")
    defective = by_score[anomalous[by_score]]
    good = by_score[~anomalous[by_score]]
    chosen = {
        "Found most clearly": defective[::-1][:SHOWN],
        "Most nearly missed": defective[:SHOWN],
        "Most nearly false alarms": good[::-1][:SHOWN],
    }
    at_pixels = best_f1_threshold(maps, masks) if masks.any() else None
    at_images = best_f1_threshold(scores.images, anomalous)
    try:
        return {
            sort: [
                _picture(run, int(i), maps[i], masks[i], scores.images[i], at_images, at_pixels)
                for i in indices
            ]
            for sort, indices in chosen.items()
        }, None
    except InputError as error:
        return {}, f"No pictures: {error}"


def _picture(
    run: RecipeRun,
    index: int,
    anomaly_map: npt.NDArray[np.float32],
    mask: Masks,
    score: float,
    at_images: float,
    at_pixels: float | None,
) -> Picture:
    sample = run.test_features.category.test[index]
    (image,) = image_batches([sample.image], run.recipe.features, 1, 1)
    pixels = image[0].permute(1, 2, 0).numpy()
    threshold = at_images if at_pixels is None else at_pixels
    grey = 0.4 + 0.6 * pixels.mean(axis=2, keepdims=True) / 255
    coloured = grey * COLOURS(np.clip(anomaly_map / (2 * threshold), 0, 1))[..., :3]
    both = [
        _outlined(pixels, mask, TRUTH),
        _outlined((255 * coloured).astype(np.uint8), anomaly_map >= threshold, FOUND),
    ]
    small = [np.asarray(Image.fromarray(half).resize((SIDE, SIDE))) for half in both]
    defect = sample.defect.replace("_", " ")
    called = "called anomalous" if score >= at_images else "called normal"
    return Picture(
        source=data_uri(Image.fromarray(np.hstack(small))),
        alt=f"{defect}: the image, and its anomaly map",
        caption=f"{defect} · score {score / at_images:.2f} × threshold, {called}",
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
