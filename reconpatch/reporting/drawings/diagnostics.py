"""What can be watched without defects, against what it may tell of: a panel a diagnostic."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from reconpatch.reporting.drawings.style import BLUE, GREEN, ORANGE, PAGE, theme

MARKERS = "osD^v<>Pp*hHX8d"
"""One for each category, which its colour repeats where there are few."""


@theme()
def draw(points: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """Draw each map's image AUROC, less the mean of its category, against each diagnostic.

    Above a panel stands Spearman's rank correlation within a category, its mean over the categories
    and its lowest and highest. A category in which all maps are equally good has none.

    Args:
        points: a row a map and category, means over seeds: ``map``, ``category``, ``image_auroc``
            in percent, and a column for each diagnostic, blank where a map has none.
        labels: what to call the diagnostics, by their columns.
    """
    figure = Figure(figsize=(PAGE, 2.5), layout="constrained")
    panels = figure.subplots(1, len(labels), sharey=True, squeeze=False)[0]
    points = points.assign(
        gain=points["image_auroc"] - points.groupby("category")["image_auroc"].transform("mean")
    )
    colours = [BLUE, ORANGE, GREEN]
    for axes, (diagnostic, label) in zip(panels, labels.items(), strict=True):
        known = points.dropna(subset=[diagnostic])
        correlations = rank_correlations(known, diagnostic)
        for index, (category, of_category) in enumerate(known.groupby("category", sort=False)):
            axes.scatter(
                of_category[diagnostic],
                of_category["gain"],
                label=category,
                s=10,
                linewidths=0.5,
                alpha=0.8,
                marker=MARKERS[index % len(MARKERS)],
                color=colours[index % len(colours)],
            )
        axes.axhline(0, color="0.7", linewidth=0.6, zorder=0)
        axes.set_xlabel(label)
        if correlations.empty:
            axes.set_title("no correlation")
        else:
            low, high = correlations.min(), correlations.max()
            axes.set_title(f"ρ = {correlations.mean():.2f} ({low:.2f} to {high:.2f})")
    panels[0].set_ylabel("Image AUROC, less its category's mean")
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=min(4, len(handles[0])))
    return figure


def rank_correlations(points: pd.DataFrame, diagnostic: str) -> pd.Series:
    """Return Spearman's correlation of a diagnostic with image AUROC in each category with one."""
    return pd.Series(
        {
            category: of_category[diagnostic].corr(of_category["image_auroc"], method="spearman")
            for category, of_category in points.groupby("category", sort=False)
            if min(of_category[[diagnostic, "image_auroc"]].nunique()) > 1
        },
        dtype=float,
    )
