"""How long a piece of work takes: small inputs, doubled until a call can be timed."""

import io
from collections.abc import Callable
from contextlib import redirect_stderr
from functools import partial
from typing import TypeVar

from reconpatch.utils.provenance import Stopwatch

T = TypeVar("T")

ENOUGH = 0.1
"""Seconds that a call must take to be timed."""

LONG = 1.0
"""Seconds from which a call is timed once."""


def unit_seconds(work: Callable[[int], object], first: int = 1, most: int | None = None) -> float:
    """Return the seconds of a unit of ``work(count)``.

    The count starts at ``first``, and is doubled until a call takes long enough or ``most`` is
    reached; the first call of all only warms up, and a long one is not repeated.
    """
    count = first
    timed(partial(work, count))
    while (seconds := timed(partial(work, count))[0]) < ENOUGH and (not most or count < most):
        count *= 2
    again = [timed(partial(work, count))[0] for _ in range(2 if seconds < LONG else 0)]
    return min([seconds, *again]) / count


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Return the seconds of ``work`` and what it returns; its progress bars stay unseen."""
    watch = Stopwatch()
    with redirect_stderr(io.StringIO()), watch("work"):
        outcome = work()
    return watch.seconds["work"], outcome
