"""The scores of a run's images on disk."""

from pathlib import Path

import numpy as np

from reconpatch.detection.scores import Scores
from reconpatch.utils.files import atomic_write


def read_scores(path: Path) -> Scores:
    """Return the scores that ``write_scores`` left at ``path``."""
    with np.load(path) as archive:
        return Scores(images=archive["images"], patches=archive["patches"])


def write_scores(path: Path, scores: Scores) -> None:
    """Write scores to ``path`` as a compressed npz, whole or not at all."""
    with atomic_write(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, images=scores.images, patches=scores.patches)
