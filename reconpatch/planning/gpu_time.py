"""From counted work to seconds on a named card, by a roofline; every number is in a CSV file."""

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

from reconpatch.planning.counting import Work

GPU = {"launches", "replays", "FLOPs", "FP64 FLOPs", "bytes"}
"""Units whose time depends on the card."""


class Card(NamedTuple):
    """A GPU as its vendor states it.

    Attributes:
        name: what it is called.
        flops: FLOP/s in single precision, without tensor cores, which TF32 would take.
        double_flops: FLOP/s in double precision, likewise.
        bandwidth: of its memory, bytes a second.
        source: who states that.
    """

    name: str
    flops: float
    double_flops: float
    bandwidth: float
    source: str


class Assumption(NamedTuple):
    """A number that time depends on, beside the card's.

    Attributes:
        value: in ``unit``.
        unit: in words.
        threaded: whether the work is shared among threads.
        source: where the value comes from.
    """

    value: float
    unit: str
    threaded: bool
    source: str


Assumptions = dict[str, Assumption]


@cache
def cards() -> tuple[Card, ...]:
    """Return the named cards."""
    return tuple(
        Card(
            row["card"],
            1e12 * float(row["fp32_tflops"]),
            1e12 * float(row["fp64_tflops"]),
            1e9 * float(row["bandwidth_gbs"]),
            row["source"],
        )
        for row in _rows("cards.csv")
    )


@cache
def assumptions() -> Assumptions:
    """Return all other numbers, by name; a unit of work is called as its line."""
    return {
        row["name"]: Assumption(
            float(row["value"]), row["unit"], row["threaded"] == "yes", row["source"]
        )
        for row in _rows("assumptions.csv")
    }


def _rows(name: str) -> list[dict[str, str]]:
    with Path(__file__).with_name(name).open() as file:
        return list(csv.DictReader(file))


def gpu_seconds(work: Work, card: Card, given: Assumptions) -> float:
    """Return the seconds that a card is at work.

    That is the larger of what Python takes to launch the kernels, and what they take: those of a
    CUDA graph their least time; arithmetic and traffic one after the other, as different kernels
    bring them.
    """
    share = given["share of FLOPs"].value
    kernels = (
        given["replays"].value * work["replays"]
        + work["FLOPs"] / (share * card.flops)
        + work["FP64 FLOPs"] / (share * card.double_flops)
        + work["bytes"] / (given["share of bandwidth"].value * card.bandwidth)
    )
    return max(given["launches"].value * work["launches"], kernels)


def host_seconds(work: Work, given: Assumptions) -> float:
    """Return the seconds that the host takes for what is not the GPU's, copies included."""
    seconds = 0.0
    for unit in work.keys() - GPU:
        assumed = given[unit]
        threads = given["threads"].value if assumed.threaded else 1
        seconds += work[unit] * assumed.value / threads
    return seconds
