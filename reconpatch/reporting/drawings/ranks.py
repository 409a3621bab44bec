"""Critical-difference diagrams (Demsar 2006): methods by their mean rank over categories."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reconpatch.evaluation.multiple_tests import critical_difference, mean_ranks
from reconpatch.reporting.drawings.style import BLUE, PAGE, PANELS, theme

LINE, MARGIN = 0.22, 0.75
"""Inches of a method's line of text, and of a panel's title, axis and bars."""


@theme()
def draw(by_metric: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw a panel a metric.

    Each method stands at its mean rank, the best on the left. A bar joins neighbours whose ranks
    are closer than the critical difference, which is drawn above the axis.

    Args:
        by_metric: values of categories (rows, complete) and methods (columns), the higher the
            better.
    """
    heights = [MARGIN + LINE * values.shape[1] for values in by_metric.values()]
    figure = Figure(figsize=(PAGE, sum(heights)), layout="constrained")
    panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (metric, values) in zip(panels, by_metric.items(), strict=True):
        _panel(axes, list(values.columns), values.to_numpy(dtype=float))
        axes.set_title(f"{PANELS[metric]}, mean rank over {len(values)} categories")
    return figure


def groups(ranks: npt.NDArray[np.float64], difference: float) -> list[tuple[float, float]]:
    """Return the ends of the bars: runs of ranks closer than ``difference``, none within another.

    Args:
        ranks: mean ranks in rising order.
        difference: the critical difference.
    """
    found: list[tuple[float, float]] = []
    for low in ranks:
        high = float(ranks[ranks < low + difference].max())
        if high > low and (not found or high > found[-1][1]):
            found.append((float(low), high))
    return found


def _panel(axes: Axes, methods: list[str], values: npt.NDArray[np.float64]) -> None:
    ranks = mean_ranks(values)
    count = len(methods)
    order = np.argsort(ranks, kind="stable")
    critical = critical_difference(count, len(values))
    bars = groups(ranks[order], critical)
    for at, (low, high) in enumerate(bars, 1):
        axes.plot([low, high], [-0.35 * at] * 2, color=BLUE, linewidth=3)
    top = -0.35 * (len(bars) + 1)
    for line, method in enumerate(order):
        # The better half is named on the left, the other on the right, outermost first.
        left = line < (count + 1) / 2
        depth = top - 0.6 * (line if left else count - 1 - line)
        end = 0.9 if left else count + 0.1
        axes.plot([ranks[method], ranks[method], end], [0, depth, depth], color="black", lw=0.8)
        axes.annotate(
            f"{methods[method]} {ranks[method]:.2f}",
            (end, depth),
            xytext=(-3 if left else 3, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
        )
    axes.plot([1, 1 + critical], [0.6, 0.6], color="black", linewidth=1, marker="|")
    axes.annotate(f"CD {critical:.2f}", (1 + critical, 0.6), (4, 0), textcoords="offset points")
    axes.plot([1, count], [0, 0], color="black", linewidth=0.8, marker="|")
    for rank in range(1, count + 1):
        axes.plot(rank, 0, color="black", marker="|")
        axes.annotate(f"{rank}", (rank, 0), (0, 4), textcoords="offset points", ha="center")
    axes.set_ylim(top - 0.6 * (count // 2) - 0.3, 1.1)
    axes.axis("off")
