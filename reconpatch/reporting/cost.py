"""What a method costs, from its runs' records.

Features are not in it: methods that read the same ones share them.
"""

from collections.abc import Callable
from typing import Any

Record = dict[str, Any]


def scoring_ms(record: Record) -> float:
    """Return the milliseconds from a test image's features to its scores, all scored at once."""
    seconds = record["steps"]["detection"]["seconds"]["scoring"]
    return float(1000 * seconds / sum(record["test_images"].values()))


def model_mib(record: Record) -> float:
    """Return the MiB of the fitted method: its memory bank, Gaussians or networks."""
    return float(record["steps"]["detection"]["counts"]["model_bytes"] / 2**20)


COSTS: dict[str, Callable[[Record], float]] = {
    "scoring_ms": scoring_ms,
    "model_mib": model_mib,
}
