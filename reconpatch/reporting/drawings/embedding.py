"""Figures 3 and S1: patch features on a plane, coloured by where in the image a patch lies."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from reconpatch.reporting.drawings.style import PAGE, theme

Coordinates = npt.NDArray[np.floating]
KEY = 0.9
"""Width of the column that holds the key, in inches."""

# Björn Ottosson, "A perceptual color space for image processing", 2020.
OKLAB_TO_LMS = np.array(
    [
        [1, 0.3963377774, 0.2158037573],
        [1, -0.1055613458, -0.0638541728],
        [1, -0.0894841775, -1.2914855480],
    ]
)
LMS_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@theme()
def draw(
    rows: Sequence[Mapping[str, Coordinates]],
    positions: npt.NDArray[np.integer],
    grid: tuple[int, int],
) -> Figure:
    """Draw rows of panels, each the same patches in another feature space.

    Figure 3 is ``[{"PatchCore": ..., "ReConPatch": ...}, {"1 epoch": ..., "10 epochs": ...}]``.

    Args:
        rows: for each row of panels, titles and the patches' coordinates ``(n, 2)``.
        positions: the patches' rows and columns in the grid, ``(n, 2)``.
        grid: the patch grid, ``(h, w)``.
    """
    # Panels are about square, whatever their number in a row.
    heights = [(PAGE - KEY) / max(len(row), 2) for row in rows]
    figure = Figure(figsize=(PAGE, sum(heights)), layout="constrained")
    halves = figure.add_gridspec(1, 2, width_ratios=[PAGE - KEY, KEY])
    lines = halves[0].subgridspec(len(rows), 1, height_ratios=heights)
    colours = position_colours(*grid)
    of_patches = colours[positions[:, 0], positions[:, 1]]
    for line, row in enumerate(rows):
        places = lines[line].subgridspec(1, len(row))
        for column, (title, coordinates) in enumerate(row.items()):
            axes = figure.add_subplot(places[column])
            # As pixels within an SVG too: thousands of circles are slow to show.
            x, y = coordinates.T
            axes.scatter(x, y, s=3, c=of_patches, linewidths=0, rasterized=True)
            axes.set(title=title, xticks=[], yticks=[], xlabel="UMAP 1", ylabel="UMAP 2")
            axes.set_aspect("equal", adjustable="datalim")
    key = figure.add_subplot(halves[1])
    key.imshow(colours)
    key.set(title="Patch\nposition", xlabel="column", ylabel="row")
    key.set(xticks=[0, grid[1] - 1], yticks=[0, grid[0] - 1])
    key.spines[:].set_visible(False)
    return figure


def position_colours(h: int, w: int) -> npt.NDArray[np.float64]:
    """Return an RGB colour for each place of a grid, ``(h, w, 3)``.

    Down the rows it grows darker, along the columns it turns from blue to orange, which red-green
    blindness leaves apart: a plane in Oklab, where equal steps look equal.
    """
    oklab = np.empty((h, w, 3))
    oklab[..., 0] = np.linspace(0.82, 0.42, h)[:, None]
    oklab[..., 1:] = np.linspace(-1, 1, w)[:, None] * [0.025, 0.08]
    linear = (oklab @ OKLAB_TO_LMS.T) ** 3 @ LMS_TO_RGB.T
    # All of the plane lies within sRGB, and above the piece near black that has no exponent.
    rgb: npt.NDArray[np.float64] = 1.055 * linear ** (1 / 2.4) - 0.055
    return rgb
