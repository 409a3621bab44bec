"""Figure 4: how far the scores of normal and anomalous test images lie apart."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reconpatch.evaluation.discriminability import discriminability_index
from reconpatch.reporting.drawings.style import BLUE, COLUMN, ORANGE, theme

BINS = 25


@theme()
def draw(scores: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw a panel a method, with its discriminability index d' (Eq. 12).

    Args:
        scores: for each method a row a test image: ``score``, ``anomalous`` (true or false).
    """
    figure = Figure(figsize=(COLUMN, 2.1), layout="constrained")
    panels = figure.subplots(1, len(scores), sharey=True, squeeze=False)[0]
    for axes, (method, images) in zip(panels, scores.items(), strict=True):
        score, anomalous = images["score"].to_numpy(), images["anomalous"].to_numpy(dtype=bool)
        edges = np.histogram_bin_edges(score, BINS)
        look = {"bins": edges, "histtype": "stepfilled", "alpha": 0.6, "linewidth": 0.8}
        look["edgecolor"] = "black"
        axes.hist(score[~anomalous], label="normal", color=BLUE, **look)
        axes.hist(score[anomalous], label="anomalous", color=ORANGE, hatch="/////", **look)
        index = discriminability_index(score[~anomalous], score[anomalous])
        shown = "undefined" if index is None else f"{index:.2f}"
        axes.set_title(f"{method}\nd′ = {shown}")
    panels[0].set_ylabel("Test images")
    panels[0].yaxis.set_major_locator(MaxNLocator("auto", integer=True))
    figure.supxlabel("Image anomaly score (feature distance)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure
