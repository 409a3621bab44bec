"""AUROC along the epochs of trained methods: what choosing an epoch on the test images is worth."""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from reconpatch.reporting.drawings.style import PAGE, PANELS, theme


@theme()
def draw(points: pd.DataFrame) -> Figure:
    """Draw a panel a metric, a line a method.

    The last epoch, whose values tables show, is filled; the best one is ringed.

    Args:
        points: ``method``, ``metric``, ``epoch`` and ``value`` in percent.
    """
    shown = [metric for metric in PANELS if metric in set(points["metric"])]
    methods = list(dict.fromkeys(points["method"]))
    colours = dict(zip(methods, sns.color_palette("colorblind", len(methods)), strict=True))
    figure = Figure(figsize=(PAGE, 2.5), layout="constrained")
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, metric in zip(panels, shown, strict=True):
        for method, line in points[points["metric"] == metric].groupby("method", sort=False):
            colour = colours[method]
            axes.plot(line["epoch"], line["value"], color=colour, linewidth=1, label=method)
            last, best = line.iloc[-1], line.iloc[line["value"].argmax()]
            axes.plot(last["epoch"], last["value"], "o", color=colour, markersize=4)
            axes.plot(
                best["epoch"],
                best["value"],
                "o",
                color=colour,
                markerfacecolor="none",
                markersize=8,
            )
        axes.set_title(PANELS[metric])
        axes.set_xlabel("Epoch")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(methods)
    )
    figure.supxlabel("filled: the last epoch, as in the tables; ringed: the best", fontsize=7)
    return figure
