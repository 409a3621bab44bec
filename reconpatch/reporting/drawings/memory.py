"""Figure S2: what a memory bank of a given size achieves."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from reconpatch.reporting.drawings.style import BLUE, COLUMN, GREEN, ORANGE, PANELS, theme

LOOKS = [(ORANGE, "s", "--"), (BLUE, "o", "-"), (GREEN, "^", ":")]


@theme()
def draw(points: pd.DataFrame) -> Figure:
    """Draw AUROC against the memory bank's size (Eq. S1): a panel a metric, a line a method.

    Args:
        points: ``method`` (three at most), ``metric`` (``image_auroc`` or ``pixel_auroc``),
            ``megabytes`` (10^6 bytes), ``value`` in percent, and, where bands are wanted, the
            ``low`` and ``high`` ends of each.
    """
    looks = dict(zip(points["method"].unique(), LOOKS, strict=False))
    figure = Figure(figsize=(COLUMN, 2.1), layout="constrained")
    panels = figure.subplots(1, len(PANELS))
    for axes, (metric, label) in zip(panels, PANELS.items(), strict=True):
        for method, (colour, marker, line) in looks.items():
            shown = points[(points["method"] == method) & (points["metric"] == metric)]
            shown = shown.sort_values("megabytes")
            if "low" in shown:
                ends = shown["megabytes"], shown["low"], shown["high"]
                axes.fill_between(*ends, color=colour, alpha=0.2, linewidth=0)
            axes.plot(
                shown["megabytes"],
                shown["value"],
                label=method,
                color=colour,
                marker=marker,
                linestyle=line,
                markersize=4,
            )
        axes.set(xscale="log", title=label)
        # Bank sizes span a decade or two, where plain numbers are read faster than powers.
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    figure.supxlabel("Memory bank (MB)")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(looks)
    )
    return figure
