"""The preview sheet: what simulated defects look like."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from reconpatch.refinement.defects import Simulated
from reconpatch.reporting.drawings.style import PAGE, theme


@theme()
def draw(
    normal: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]],
    simulated: Mapping[str, Sequence[Simulated]],
) -> Figure:
    """Draw a row an image: the normal one, and for each kind of defect the simulated one, its mask.

    Args:
        normal: RGB ``(S, S, 3)``.
        simulated: by the kind's name, a simulated one of each.
    """
    columns = 1 + 2 * len(simulated)
    cell = PAGE / columns
    figure = Figure(figsize=(PAGE, len(normal) * cell + 0.3))
    figure.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)
    panels = figure.subplots(len(normal), columns, squeeze=False)
    titles = ["normal", *(title for kind in simulated for title in (kind, f"{kind}: mask"))]
    for axes, title in zip(panels[0], titles, strict=True):
        axes.set_title(title)
    for row, image in enumerate(normal):
        panels[row, 0].imshow(image)
        for at, kind in enumerate(simulated.values()):
            panels[row, 1 + 2 * at].imshow(kind[row].image)
            panels[row, 2 + 2 * at].imshow(kind[row].mask, cmap="gray", vmin=0, vmax=1)
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    return figure
