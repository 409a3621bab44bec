"""The threshold of a stated false-alarm rate, from normal images' scores alone."""

import math

import numpy as np
import numpy.typing as npt


def threshold_at(scores: npt.NDArray[np.floating], rate: float) -> float:
    """Return the lowest of N normal scores that a new one exceeds with a chance of ``rate``.

    Of N + 1 scores whose order is chance the new one is among the k highest with a chance of
    ``k / (N + 1)``. With too few images for the rate it is their highest score.

    Example:
        >>> threshold_at(np.arange(1.0, 100.0), 0.05)
        95.0
    """
    # Where the rate makes a whole number of images, rounding must not make one more of it.
    rank = math.ceil(round((len(scores) + 1) * (1 - rate), 9))
    return float(np.sort(scores)[min(rank, len(scores)) - 1])


def enough(rate: float) -> int:
    """Return how many images let a threshold have this false-alarm rate."""
    return math.ceil(round(1 / rate, 9)) - 1


def few_images(judged: int, given: int, rate: float) -> str | None:
    """Return what to say where a threshold cannot have its false-alarm rate; else None.

    Args:
        judged: how many normal images' scores the threshold comes from.
        given: how many images were given, of which those are a part.
        rate: the false-alarm rate that was asked for.
    """
    if judged >= enough(rate):
        return None
    return (
        f"{judged} images are too few for a false-alarm rate of {rate:g}: the threshold is their "
        f"highest score, which a new normal image exceeds with a chance of 1 in {judged + 1}. Give "
        f"{math.ceil(enough(rate) * given / judged)} images or more."
    )
