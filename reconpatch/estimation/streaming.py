"""Images scored one after another, of any number, in memory that does not grow."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from reconpatch.datasets.images import open_image
from reconpatch.detection.scores import Scores
from reconpatch.estimation.detector import CHUNK, Detector
from reconpatch.estimation.sources import as_sources
from reconpatch.utils.errors import InputError


@dataclass(frozen=True)
class Finding:
    """What is found in an image.

    Attributes:
        image: as it was given.
        scores: of this one image; None if it cannot be read.
        anomalous: whether its score is above the detector's threshold.
        trouble: why it cannot be read, if so.
    """

    image: Any
    scores: Scores | None
    anomalous: bool
    trouble: str | None = None


def stream(detector: Detector, images: Iterable[Any], at_once: int = CHUNK) -> Iterator[Finding]:
    """Yield what a fitted detector finds in images, in their order.

    An image that cannot be read ends nothing.

    Args:
        detector: a fitted one.
        images: any number, one by one, each as ``as_sources`` takes it in a list.
        at_once: how many are read and scored together: 1 answers at once, more are faster.

    Raises:
        NotFittedError: ``detector`` is not fitted.
    """
    coming = iter(images)
    while some := list(islice(coming, at_once)):
        yield from _found(detector, some)


def _found(detector: Detector, images: list[Any]) -> Iterator[Finding]:
    try:
        scores = detector.examine(images)
    except InputError:
        troubles = [_trouble(image) for image in images]
        if not any(troubles):
            raise
        readable = [image for image, why in zip(images, troubles, strict=True) if why is None]
        found = _found(detector, readable) if readable else iter(())
        for image, why in zip(images, troubles, strict=True):
            yield Finding(image, None, anomalous=False, trouble=why) if why else next(found)
        return
    for place, image in enumerate(images):
        part = slice(place, place + 1)
        one = Scores(scores.images[part], scores.patches[part])
        yield Finding(image, one, anomalous=bool(one.images[0] > detector.threshold_))


def _trouble(image: Any) -> str | None:
    """Why an image cannot be read; None if it can."""
    try:
        (source,) = as_sources([image])
        if isinstance(source, Path):
            open_image(source)
    except InputError as error:
        return str(error)
    return None
