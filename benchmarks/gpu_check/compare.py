"""How far a device's numbers lie from the CPU's."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from benchmarks.gpu_check.check import Outcome, Value

Numbers = Tensor | npt.NDArray[Any] | list[float] | float


def agreement(
    found: Numbers, expected: Numbers, allowed: float, *, scale: float | None = None
) -> Outcome:
    """Return the largest difference and the relative one, which fails above ``allowed``.

    The relative difference is the norm of the difference over the expected numbers' norm, or over
    ``scale`` where that is given.
    """
    ours, theirs = _array(found), _array(expected)
    if ours.shape != theirs.shape:
        return Outcome(problem=f"the shape is {ours.shape}, on the CPU {theirs.shape}")
    if not np.isfinite(ours).all():
        return Outcome(problem="not all numbers are finite")
    difference = ours - theirs
    norm = float(np.linalg.norm(theirs)) if scale is None else scale
    away = float(np.linalg.norm(difference))
    relative = away / norm if norm else float(away > 0)
    values: dict[str, Value] = {
        "max_abs": float(np.abs(difference).max(initial=0)),
        "relative": relative,
        "allowed": allowed,
    }
    problem = f"the relative difference {relative:.2g} is above {allowed:g}"
    return Outcome(values, problem if relative > allowed else None)


def choices(found: Numbers, expected: Numbers, least: float) -> Outcome:
    """Return the share of equal choices, which fails below ``least``."""
    ours, theirs = _array(found), _array(expected)
    share = float((ours == theirs).mean())
    problem = f"only {share:.4%} of the choices are equal, {least:.2%} should be"
    return Outcome({"equal_share": share}, problem if share < least else None)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the numbers of the agreement that is nearest to its limit, and all problems."""
    found = sorted(outcomes, key=lambda outcome: _strain(outcome.values))
    return together(*found)


def _strain(values: dict[str, Value]) -> float:
    relative, allowed = values.get("relative"), values.get("allowed")
    if isinstance(relative, float) and isinstance(allowed, float):
        return relative / allowed
    return 0.0


def together(*outcomes: Outcome) -> Outcome:
    """Return all outcomes' values and problems as one; of values by one name the last counts."""
    values = {name: value for outcome in outcomes for name, value in outcome.values.items()}
    return Outcome(values, "; ".join(o.problem for o in outcomes if o.problem) or None)


def _array(numbers: Numbers) -> npt.NDArray[np.float64]:
    if isinstance(numbers, Tensor):
        numbers = numbers.detach().cpu().double().numpy()
    return np.atleast_1d(np.asarray(numbers, np.float64))
