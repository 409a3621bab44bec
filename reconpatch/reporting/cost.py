"""What a method costs, from its runs' records.

Features are not in it: methods that read the same ones share them.
"""

from collections.abc import Callable
from typing import Any

Record = dict[str, Any]


def fit_seconds(record: Record) -> float:
    """Return the seconds from features to the fitted method, its training included."""
    steps = record["steps"]
    fitting = steps["detection"]["seconds"]
    training = steps.get("training", {"seconds": {}})["seconds"]
    own: float = sum(fitting.get(at, 0) for at in ("fit", "method training"))
    return float(own + sum(training.values()))


def scoring_ms(record: Record) -> float:
    """Return the milliseconds from a test image's features to its scores, all scored at once."""
    seconds = record["steps"]["detection"]["seconds"]["scoring"]
    return float(1000 * seconds / sum(record["test_images"].values()))


def model_mib(record: Record) -> float:
    """Return the MiB of the fitted method: its memory bank, Gaussians or networks."""
    return float(record["steps"]["detection"]["counts"]["model_bytes"] / 2**20)


COSTS: dict[str, Callable[[Record], float]] = {
    "fit_seconds": fit_seconds,
    "scoring_ms": scoring_ms,
    "model_mib": model_mib,
}
