"""What ``reconpatch predict`` writes: scores, overlays, and a contact sheet to look through."""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment, StrictUndefined
from tqdm import tqdm

from reconpatch.datasets.images import open_image
from reconpatch.detection.scores import Scores
from reconpatch.estimation.detector import Detector
from reconpatch.estimation.folders import atomic_folder, check_free
from reconpatch.estimation.overlay import overlay
from reconpatch.estimation.sources import images_in
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
    """

    images: list[Prediction]
    unreadable: list[str]


def write_predictions(detector: Detector, images: Path, output: Path) -> Predictions:
    """Score an image or a folder's images, and write all about them to a new folder.

    There go ``scores.csv``, ``overlays/`` with a PNG an image, and ``index.html``, which shows them
    from the highest score down. Images that cannot be read are named there and left out.

    Raises:
        InputError: there is no image, none can be read, or ``output`` is not empty.
    """
    check_free(output)
    paths = images_in(images) if images.is_dir() else [images]
    readable, unreadable = _readable(paths, detector.threads)
    if not readable:
        raise InputError(
            f"None of {len(paths)} images in {images} can be read. {unreadable[0]}"
            if images.is_dir()
            else unreadable[0]
        )
    scores = detector.examine(readable)
    anomalous = scores.images > detector.threshold_
    found = [
        Prediction(str(path), score, detector.threshold_, above)
        for path, score, above in zip(
            readable, scores.images.tolist(), anomalous.tolist(), strict=True
        )
    ]
    with atomic_folder(output) as aside:
        pd.DataFrame([asdict(row) for row in found]).to_csv(aside / "scores.csv", index=False)
        (aside / "overlays").mkdir()
        for number, path in enumerate(tqdm(readable, desc="overlays", unit="image")):
            part = slice(number, number + 1)
            (anomaly_map,) = detector.maps_of(Scores(scores.images[part], scores.patches[part]))
            drawn = overlay(path, anomaly_map, detector.map_threshold_, detector.recipe_.features)
            drawn.save(aside / "overlays" / f"{path.name}.png", compress_level=1)
        page = _sheet(detector, images, Predictions(found, unreadable))
        (aside / "index.html").write_text(page, encoding="utf-8")
    return Predictions(found, unreadable)


def _readable(paths: Sequence[Path], threads: int) -> tuple[list[Path], list[str]]:
    """The images that can be decoded to their end, and what is wrong with the others."""

    def trouble(path: Path) -> str | None:
        try:
            open_image(path)
        except InputError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(threads) as pool:
        found = list(tqdm(pool.map(trouble, paths), total=len(paths), desc="reading", unit="image"))
    whole = [path for path, why in zip(paths, found, strict=True) if why is None]
    return whole, [why for why in found if why is not None]


def _sheet(detector: Detector, images: Path, predictions: Predictions) -> str:
    """The contact sheet as HTML; it takes nothing from elsewhere but the overlays beside it."""
    training = len(detector.training_scores_)
    rows = sorted(predictions.images, key=lambda row: row.score, reverse=True)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["address"] = lambda path: f"overlays/{quote(Path(path).name)}.png"
    environment.filters["name"] = lambda path: Path(path).name
    template = environment.from_string((files(__package__) / "sheet.html").read_text("utf-8"))
    return template.render(
        source=str(images),
        method=detector.method.name(),
        rows=rows,
        anomalous=sum(row.anomalous for row in rows),
        threshold=detector.threshold_,
        # Few images do not let the threshold have the rate that was asked for.
        rate=100 * max(detector.false_alarm_rate, 1 / (training + 1)),
        training=training,
        cropped=detector.recipe_.features.crop is not None,
        unreadable=predictions.unreadable,
    )


def print_unreadable(predictions: Predictions) -> None:
    """Name on stderr the images that were left out."""
    for why in predictions.unreadable:
        print(f"Left out: {why}", file=sys.stderr)
