"""Scores of several models made comparable, and fused (Section 3.3, Eq. 11)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.detection.scores import Scores
from reconpatch.settings.detection import MapSettings
from reconpatch.utils.errors import InputError

Array = npt.NDArray[np.float32]
Deviation = Literal["median", "mean", "none"]

BETA = 1.4826
"""Makes the median absolute deviation of a normal distribution its standard deviation."""


def modified_z_score(
    scores: npt.NDArray[np.floating],
    reference: npt.NDArray[np.floating],
    deviation: Deviation = "median",
) -> npt.NDArray[np.float64]:
    """Eq. 11: ``(s - median) / (beta MAD)``, with median and MAD of the training set's scores.

    Args:
        scores: any shape.
        reference: the training set's scores, any shape.
        deviation: the form of MAD. The paper says *mean* absolute deviation, but 1.4826 belongs to
            the *median* absolute deviation. ``none`` leaves the scores as they are.

    Raises:
        InputError: the reference does not vary, so that there is nothing to scale by.

    Example:
        >>> reference = np.array([1.0, 2.0, 3.0, 4.0, 50.0])
        >>> modified_z_score(np.array([3.0, 4.4826]), reference).round(2).tolist()
        [0.0, 1.0]
    """
    if deviation == "none":
        return np.asarray(scores, np.float64)
    median = np.median(reference)
    distances = np.abs(np.asarray(reference, dtype=np.float64) - median)
    spread = np.median(distances) if deviation == "median" else np.mean(distances)
    if spread == 0:
        raise InputError(
            f"The {deviation} absolute deviation of the {np.size(reference)} reference scores is "
            "zero: scores that do not vary cannot scale others."
        )
    normalised: npt.NDArray[np.float64] = (np.asarray(scores, np.float64) - median) / (
        BETA * spread
    )
    return normalised


@dataclass(frozen=True)
class EnsembleMember:
    """One model of an ensemble: its scores of the test images, and of the training images.

    Image scores are scaled by the training images' scores, patch scores by the training patches'.
    """

    test: Scores
    training: Scores


def fuse(
    members: Sequence[EnsembleMember],
    size: int,
    settings: MapSettings,
    deviation: Deviation = "median",
) -> tuple[Array, Array]:
    """Return image scores ``(N,)`` and maps ``(N, size, size)``: the members' mean z-scores.

    Members may have patch grids of their own, because it is at the image's size that maps are
    averaged. Patch scores are scaled before they are upsampled, which is the same: a map's pixel
    is a weighted mean of patch scores. Memory: ``8 N size^2`` bytes, for the sum and one member's
    maps, and ``4 N size w`` on the way to those of a grid ``h x w``.

    Args:
        members: the models, with the same test images in the same order.
        size: the image's side in pixels.
        settings: how maps are made of patch scores.
        deviation: the form of MAD in Eq. 11; ``none`` fuses plain scores.

    Raises:
        InputError: some member's training scores do not vary.
        ValueError: there is no member, or their test images differ in number.
    """
    counts = {len(member.test.images) for member in members}
    if len(counts) != 1:
        raise ValueError(f"an ensemble's members must score the same images, not {sorted(counts)}")
    images = np.zeros(counts.pop())
    maps = np.zeros((len(images), size, size), np.float32)
    for member in members:
        images += modified_z_score(member.test.images, member.training.images, deviation)
        patches = modified_z_score(member.test.patches, member.training.patches, deviation)
        maps += anomaly_maps(patches.astype(np.float32), size, settings)
    maps /= len(members)
    return (images / len(members)).astype(np.float32), maps
