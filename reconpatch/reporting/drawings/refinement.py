"""Figure S5: what refinement makes of anomaly maps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from reconpatch.evaluation.auroc import roc_curve
from reconpatch.reporting.drawings.maps import COLOURS, Shown
from reconpatch.reporting.drawings.style import BLUE, ORANGE, PAGE, theme

COLUMNS = 7
"""More images than these do not stand side by side."""

ROWS = ("Image", "Ground truth", "Anomaly map", "Refined map", "Pixel ROC")
FALSE = 0.3
"""The false positive rate that curves are drawn up to: beyond it they lie on each other."""

RANGE = (50, 99.9)
"""The percentiles of a map that its colours run between."""


@dataclass(frozen=True)
class Refinement(Shown):
    """An image, defective somewhere, with its refined map ``(S, S)``."""

    refined: npt.NDArray[np.float32]


@theme()
def draw(examples: Sequence[Refinement]) -> Figure:
    """Draw each example as a column; below its maps the ROC curves of both over its pixels.

    A map is coloured from its median to nearly its maximum, as the two have different units.
    Without examples, as where no category has masks, the figure says so.
    """
    shown = examples[:COLUMNS]
    if not shown:
        figure = Figure(figsize=(PAGE, 0.5))
        figure.text(0.5, 0.5, "No test image has a mask.", ha="center", va="center")
        return figure
    cell = (PAGE - 0.5) / max(len(shown), 4)
    figure = Figure(figsize=(len(shown) * cell + 0.5, len(ROWS) * cell + 0.8))
    figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    panels = figure.subplots(len(ROWS), len(shown), squeeze=False)
    for axes, name in zip(panels[:, 0], ROWS, strict=True):
        axes.set_ylabel(name)
    for column, example in zip(panels.T, shown, strict=True):
        column[0].set_title(example.title)
        column[0].imshow(example.image)
        column[1].imshow(example.mask, cmap="gray", vmin=0, vmax=1)
        for axes, scores in zip(column[2:4], (example.anomaly_map, example.refined), strict=True):
            low, high = np.percentile(scores, RANGE)
            axes.imshow(scores, cmap=COLOURS, vmin=low, vmax=high)
        for axes in column[:4]:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        for scores, colour, line, name in (
            (example.anomaly_map, ORANGE, "--", "anomaly map"),
            (example.refined, BLUE, "-", "refined map"),
        ):
            rates = roc_curve(scores, example.mask)
            column[4].plot(*rates, color=colour, linestyle=line, linewidth=1.2, label=name)
        column[4].set(xlim=(0, FALSE), ylim=(0, 1.02), xticks=[0, FALSE], yticks=[0, 1])
        column[4].set_box_aspect(1)
    # A single column is too narrow for a line of either.
    label = "False positive rate (upwards: true positive rate)"
    figure.supxlabel(label if len(shown) > 1 else label.replace(" (", "\n("))
    figure.legend(
        *panels[4, 0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=min(len(shown), 2),
    )
    return figure
