"""What ``reconpatch predict`` writes: scores, overlays, and a contact sheet to look through."""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

import pandas as pd
from tqdm import tqdm

from reconpatch.estimation.detector import Detector
from reconpatch.estimation.folders import atomic_folder
from reconpatch.estimation.overlay import overlay
from reconpatch.estimation.streaming import stream
from reconpatch.estimation.templates import pages
from reconpatch.utils.errors import InputError


@dataclass(frozen=True)
class Prediction:
    """A row of ``scores.csv``."""

    path: str
    score: float
    threshold: float
    anomalous: bool


@dataclass(frozen=True)
class Predictions:
    """What was found in a folder's images.

    Attributes:
        images: those that could be read, in the order of their names.
        unreadable: what is wrong with each of the others.
        images_a_second: read, scored and drawn.
    """

    images: list[Prediction]
    unreadable: list[str]
    images_a_second: float


def write_predictions(detector: Detector, paths: Sequence[Path], output: Path) -> Predictions:
    """Score image files, and write all about them to a new folder.

    There go ``scores.csv``, ``overlays/`` with a PNG an image, and ``index.html``, which shows them
    from the highest score down. Images that cannot be read are named there and left out.

    Raises:
        InputError: no image can be read, or ``output`` is not empty.
    """
    found, unreadable, start = [], [], time.perf_counter()
    with atomic_folder(output) as aside:
        (aside / "overlays").mkdir()
        findings = stream(detector, paths)
        for finding in tqdm(findings, total=len(paths), desc="images", unit="image"):
            path = finding.image
            if finding.scores is None:
                unreadable.append(str(finding.trouble))
                continue
            (score,) = finding.scores.images.tolist()
            found.append(Prediction(str(path), score, detector.threshold_, finding.anomalous))
            (anomaly_map,) = detector.maps_of(finding.scores)
            drawn = overlay(path, anomaly_map, detector.map_threshold_, detector.recipe_.features)
            drawn.save(aside / "overlays" / f"{path.name}.png", compress_level=1)
        if not found:
            none = f"None of {len(paths)} images can be read. " if len(paths) > 1 else ""
            raise InputError(f"{none}{unreadable[0]}")
        pd.DataFrame([asdict(row) for row in found]).to_csv(aside / "scores.csv", index=False)
        rate = len(found) / (time.perf_counter() - start)
        predictions = Predictions(found, unreadable, rate)
        page = _sheet(detector, predictions)
        (aside / "index.html").write_text(page, encoding="utf-8")
    return predictions


def _sheet(detector: Detector, predictions: Predictions) -> str:
    """The contact sheet as HTML; it takes nothing from elsewhere but the overlays beside it."""
    judged = len(detector.training_scores_)
    rows = sorted(predictions.images, key=lambda row: row.score, reverse=True)
    environment = pages()
    environment.filters["address"] = lambda path: f"overlays/{quote(Path(path).name)}.png"
    environment.filters["name"] = lambda path: Path(path).name
    return environment.get_template("sheet.html").render(
        source=str(Path(rows[0].path).parent),
        method=detector.method.name(),
        rows=rows,
        anomalous=sum(row.anomalous for row in rows),
        threshold=detector.threshold_,
        # Few images do not let the threshold have the rate that was asked for.
        rate=100 * max(detector.false_alarm_rate, 1 / (judged + 1)),
        training=detector.fitted_images_,
        cropped=detector.recipe_.features.crop is not None,
        unreadable=predictions.unreadable,
    )


def print_unreadable(predictions: Predictions) -> None:
    """Name on stderr the images that were left out."""
    for why in predictions.unreadable:
        print(f"Left out: {why}", file=sys.stderr)
