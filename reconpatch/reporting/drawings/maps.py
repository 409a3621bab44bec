"""Figures 5, S3 and S4: anomaly maps over test images, beside the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from textwrap import fill

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reconpatch.reporting.drawings.style import GREEN, ORANGE, PAGE, theme

COLUMNS = 7
"""No more images than these stand side by side."""

COLOURS = mpl.colormaps["BuPu"]
STAR = {
    "color": GREEN,
    "linestyle": "none",
    "marker": "*",
    "markersize": 7,
    "markeredgecolor": "white",
    "markeredgewidth": 0.5,
}


@dataclass(frozen=True)
class Shown:
    """A test image as the backbone sees it, RGB ``(S, S, 3)``; its mask and map, ``(S, S)``."""

    category: str
    defect: str
    image: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    anomaly_map: npt.NDArray[np.float32]

    @property
    def title(self) -> str:
        """Category and defect, in lines that a column is wide enough for."""
        names = (name.replace("_", " ") for name in (self.category, self.defect))
        return "\n".join(fill(name, 14) for name in names)


@dataclass(frozen=True)
class Example(Shown):
    """An image with the score, above zero, from which on a pixel is called anomalous."""

    threshold: float


@theme()
def draw(examples: Sequence[Example]) -> Figure:
    """Draw each example as a column: the image, and below it the map over the image in grey.

    Maps are coloured from zero to twice their threshold, so that one scale serves all categories.
    """
    lines = ceil(len(examples) / COLUMNS)
    columns = ceil(len(examples) / lines)
    cell = (PAGE - 0.9) / max(columns, 4)
    figure = Figure(figsize=(columns * cell + 0.9, lines * (2 * cell + 0.5) + 0.3))
    figure.set_layout_engine("constrained", w_pad=0.01, h_pad=0.02, wspace=0, hspace=0)
    panels = figure.subplots(2 * lines, columns, squeeze=False)
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for index, example in enumerate(examples):
        line, column = divmod(index, columns)
        above, below = panels[2 * line : 2 * line + 2, column]
        above.set_title(example.title)
        above.imshow(example.image)
        _draw_map(below, example)
    for above, below in zip(panels[::2, 0], panels[1::2, 0], strict=True):
        above.set_ylabel("Image")
        below.set_ylabel("Anomaly map")
    figure.colorbar(
        ScalarMappable(Normalize(0, 2), COLOURS),
        ax=panels,
        extend="max",
        shrink=0.8 / lines,
        aspect=15,
        pad=0.01,
        label="Score / threshold",
    )
    handles = [
        Line2D([], [], color=GREEN, linestyle="--", label="threshold of best F1"),
        Line2D([], [], **STAR, label="highest score"),
    ]
    if any(example.mask.any() for example in examples):
        handles.insert(0, Line2D([], [], color=ORANGE, label="ground truth"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3 if columns > 3 else 1)
    return figure


def _draw_map(axes: Axes, example: Example) -> None:
    scores, threshold = example.anomaly_map, example.threshold
    axes.imshow(over_grey(example.image, scores, threshold))
    # Where no pixel is on one of the sides, Matplotlib warns that there is no contour.
    if example.mask.any():
        axes.contour(example.mask, [0.5], colors=ORANGE, linewidths=1.2)
    if scores.min() < threshold <= scores.max():
        axes.contour(scores, [threshold], colors=GREEN, linestyles="--", linewidths=1.2)
    row, column = np.unravel_index(scores.argmax(), scores.shape)
    axes.plot(column, row, **STAR, clip_on=False)


def over_grey(
    image: npt.NDArray[np.uint8], scores: npt.NDArray[np.float32], threshold: float
) -> npt.NDArray[np.float64]:
    """Return a map's colours over its image in grey, ``(S, S, 3)`` from 0 to 1."""
    # Pale enough for the map's colours to show on black too.
    grey = 0.4 + 0.6 * image.mean(axis=2, keepdims=True) / 255
    coloured: npt.NDArray[np.float64] = grey * COLOURS(scores / (2 * threshold))[..., :3]
    return coloured
