"""Sweeps: what a setting that the paper leaves open does to AUROC."""

import pandas as pd
from matplotlib.figure import Figure

from reconpatch.reporting.drawings.style import BLUE, COLUMN, PANELS, theme


@theme()
def draw(points: pd.DataFrame) -> Figure:
    """Draw a panel a metric: each value's AUROC as a point, its interval as a line.

    Args:
        points: ``value`` (the setting's, as text, in order), ``metric``, ``measured`` in percent,
            ``low`` and ``high`` ends of its interval, and ``own``: whether it is the suite's own
            setting, which is drawn filled.
    """
    shown = [metric for metric in PANELS if metric in set(points["metric"])]
    values = list(dict.fromkeys(points["value"]))
    figure = Figure(figsize=(COLUMN, 2.1), layout="constrained")
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, metric in zip(panels, shown, strict=True):
        of_metric = points[points["metric"] == metric]
        for point in of_metric.itertuples():
            at = values.index(point.value)
            axes.plot([at, at], [point.low, point.high], color=BLUE, linewidth=1)
            filled = BLUE if point.own else "white"
            axes.plot(at, point.measured, "o", color=BLUE, markerfacecolor=filled, markersize=5)
        axes.set_title(PANELS[metric])
        axes.set_xticks(range(len(values)), values, rotation=90 if len(values) > 3 else 0)
        axes.margins(x=0.5 / len(values))
    figure.supxlabel("filled: the suite's own setting; lines: 95 % intervals", fontsize=7)
    return figure
