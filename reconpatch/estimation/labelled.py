"""What ``reconpatch evaluate`` writes: how well a fitted method tells labelled images apart."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from reconpatch.datasets.mvtec_layout import read_mvtec_layout
from reconpatch.estimation.detector import Detector
from reconpatch.estimation.folders import atomic_folder, check_free
from reconpatch.evaluation.auroc import roc_curve
from reconpatch.evaluation.bootstrap import interval
from reconpatch.evaluation.evaluate import evaluate
from reconpatch.features.images import masks
from reconpatch.reporting.drawings import histogram
from reconpatch.reporting.drawings.style import BLUE, COLUMN, DPI, theme
from reconpatch.utils.files import write_json

Labels = npt.NDArray[np.bool_]


def evaluate_folder(detector: Detector, folder: Path, output: Path | None) -> dict[str, Any]:
    """Return all metrics of a category in MVTec AD's layout, with 95 % intervals.

    They are those of the workflow; ``threshold`` tells beside them what ``predict`` would do. With
    ``output`` they go there as ``metrics.json``, with ``scores.csv``, ``roc.png`` and
    ``histogram.png``.

    Raises:
        InputError: the folder is no such category, an image cannot be read, or ``output`` is not
            empty.
    """
    if output:
        check_free(output)
    place = folder.absolute()
    category = read_mvtec_layout(place, place.parent.name)
    scores = detector.examine([sample.image for sample in category.test])
    features = detector.recipe_.test_extraction.features
    anomalous = np.array([sample.anomalous for sample in category.test])
    measured, replicates = evaluate(
        scores.images,
        anomalous,
        detector.maps_of(scores),
        masks(category.test, features).numpy() if category.has_masks else None,
        # As the workflow draws them.
        zlib.crc32(f"{category.dataset} {category.name}".encode()),
    )
    above = scores.images > detector.threshold_
    found = {
        **measured,
        "intervals": {name: interval(values) for name, values in replicates.items()},
        "threshold": {
            "score": detector.threshold_,
            "normal_above": float(above[~anomalous].mean()),
            "anomalous_above": float(above[anomalous].mean()),
        },
        "test_images": {"normal": int((~anomalous).sum()), "anomalous": int(anomalous.sum())},
        "method": detector.method.name(),
        "recipe": detector.recipe_.model_dump(mode="json"),
    }
    if output:
        table = pd.DataFrame(
            {
                "path": [str(sample.image) for sample in category.test],
                "defect": [sample.defect for sample in category.test],
                "anomalous": anomalous,
                "score": scores.images,
                "above_threshold": above,
            }
        )
        with atomic_folder(output) as aside:
            table.to_csv(aside / "scores.csv", index=False)
            bars = histogram.draw({detector.method.name(): table})
            bars.savefig(aside / "histogram.png", dpi=DPI)
            _roc(scores.images, anomalous).savefig(aside / "roc.png", dpi=DPI)
            write_json(aside / "metrics.json", found)
    return found


def print_metrics(found: dict[str, Any]) -> None:
    """Print what ``evaluate_folder`` returned as a table."""
    console = Console(highlight=False)
    images = found["test_images"]
    table = Table(
        "metric",
        "value",
        "95 % interval",
        box=SIMPLE_HEAD,
        title=f"{found['method']}: {images['normal']} normal and {images['anomalous']} anomalous "
        "images",
    )
    for name, value in found["metrics"].items():
        if value is None:
            table.add_row(name, "-", found["reasons"][name])
        else:
            low, high = found["intervals"][name]
            table.add_row(name, f"{value:.4f}", f"{low:.4f} to {high:.4f}")
    console.print(table)
    at = found["threshold"]
    console.print(
        f"Above the threshold {at['score']:.4g}: {at['normal_above']:.1%} of normal, "
        f"{at['anomalous_above']:.1%} of anomalous images."
    )


@theme()
def _roc(scores: npt.NDArray[np.float32], anomalous: Labels) -> Figure:
    figure = Figure(figsize=(COLUMN, COLUMN), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    axes.plot(*roc_curve(scores, anomalous), color=BLUE, clip_on=False)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xlabel("Normal images above the threshold")
    axes.set_ylabel("Anomalous images above the threshold")
    return figure
