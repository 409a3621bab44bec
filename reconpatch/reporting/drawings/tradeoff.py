"""What methods reach against what they take: AUROC over the time to score an image."""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from reconpatch.reporting.drawings.style import PAGE, PANELS, theme


@theme()
def draw(values: pd.DataFrame) -> Figure:
    """Draw a panel a metric, a point a method; up and to the left is better.

    Args:
        values: methods (rows); ``scoring_ms``, and AUROC in percent (columns).
    """
    shown = [metric for metric in PANELS if metric in values]
    colours = sns.color_palette("colorblind", len(values))
    figure = Figure(figsize=(PAGE, 3), layout="constrained")
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, metric in zip(panels, shown, strict=True):
        points = zip(values.index, values["scoring_ms"], values[metric], colours, strict=True)
        for method, milliseconds, value, colour in points:
            axes.plot(milliseconds, value, "o", color=colour, label=method)
        axes.set_title(PANELS[metric])
        axes.set_xscale("log")
        axes.set_xlabel("Scoring an image, ms")
        axes.margins(0.1)
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=min(6, len(values)),
    )
    return figure
