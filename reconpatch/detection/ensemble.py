"""Scores of several models made comparable (Eq. 11)."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from reconpatch.errors import InputError

BETA = 1.4826
"""Makes the median absolute deviation of a normal distribution its standard deviation."""


def modified_z_score(
    scores: npt.NDArray[np.floating],
    reference: npt.NDArray[np.floating],
    deviation: Literal["median", "mean"] = "median",
) -> npt.NDArray[np.float64]:
    """Eq. 11: ``(s - median) / (beta MAD)``, with median and MAD of the training set's scores.

    Args:
        scores: any shape.
        reference: the training set's scores, any shape.
        deviation: the form of MAD. The paper says *mean* absolute deviation, but 1.4826 belongs to
            the *median* absolute deviation.

    Raises:
        InputError: the reference does not vary, so that there is nothing to scale by.
    """
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
