"""The figures' common look, and how they are written."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from reconpatch.utils.files import atomic_write

DPI = 300
COLUMN, PAGE = 3.25, 6.875
"""Widths of one and of both columns of the paper, in inches."""

PANELS = {"image_auroc": "Image AUROC (%)", "pixel_auroc": "Pixel AUROC (%)"}
BLUE, ORANGE, GREEN = sns.color_palette("colorblind").as_hex()[:3]


@contextmanager
def theme() -> Iterator[None]:
    """Have whatever is drawn within look alike: seaborn's paper, no font below 7 points."""
    look = {
        **sns.axes_style("ticks"),
        **sns.plotting_context("paper", font_scale=0.85),
        # Matplotlib's own font, so that figures do not depend on the fonts of a machine.
        "font.sans-serif": ["DejaVu Sans"],
        "figure.labelsize": "medium",
        "legend.frameon": False,
        "hatch.linewidth": 0.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        # Text in an SVG stays text; the salt makes its identifiers the same every time.
        "svg.fonttype": "none",
        "svg.hashsalt": "reconpatch",
    }
    with mpl.rc_context(look):
        yield


@theme()
def save(figure: Figure, path: Path) -> None:
    """Write ``path.svg`` and ``path.png`` (``DPI``), each whole or not at all."""
    for form, metadata in (("svg", {"Date": None}), ("png", {})):
        with atomic_write(path.with_name(f"{path.name}.{form}")) as aside:
            figure.savefig(aside, format=form, dpi=DPI, metadata=metadata)
