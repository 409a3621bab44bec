"""How the coreset's time and memory grow with the patches and with the share kept."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor

from benchmarks.coreset import START, stated_mib
from benchmarks.data import clusters
from benchmarks.measure import in_turns
from benchmarks.peers import plain_greedy
from benchmarks.plan import SHARES, Plan
from benchmarks.report import Findings, markdown_table
from reconpatch.detection.coreset import coreset_size, greedy_coreset

DIMENSIONS = 128
PLAIN_PATCHES = 100_000
"""The largest matrix for the plain rule, whose time grows with the square of the patches."""

Selection = Callable[[Tensor, int, int], Tensor]


def measure(plan: Plan, output: Path) -> Findings:
    """Measure both curves, fit their exponents, and draw them to ``scaling.png`` and ``.svg``."""
    by_patches = [(count, 0.01) for count in plan.patch_counts]
    curves = {
        "ours": _curve("ours", greedy_coreset, by_patches),
        "plain": _curve(
            "plain exact greedy", plain_greedy, [p for p in by_patches if p[0] <= PLAIN_PATCHES]
        ),
        "share": _curve("ours", greedy_coreset, [(plan.share_patches, s) for s in SHARES]),
    }
    exponents = {
        name: fitted_exponent(curve["share" if name == "share" else "patches"], curve["seconds"])
        for name, curve in curves.items()
    }
    output.mkdir(parents=True, exist_ok=True)
    _draw(curves, exponents, plan, output)
    points = pd.concat(curves, names=["curve"]).reset_index("curve")
    points.to_csv(output / "scaling.csv", index=False)
    return Findings(
        "How the coreset grows",
        notes=[
            "![Coreset time against patches and against the share kept](scaling.png)",
            f"In {DIMENSIONS} dimensions, with 1 % kept, our time grows as the number of patches "
            f"to the power {exponents['ours']:.2f}, the plain rule's to {exponents['plain']:.2f}. "
            f"With {plan.share_patches:,} patches, our time grows as the share kept to the power "
            f"{exponents['share']:.2f}. Exponents are least-squares fits over logarithms. A method "
            "that reads all patches for every centre has the exponent two, because twice the "
            "patches at the same share are also twice the centres.",
            "Memory beside the features, as measured and as `greedy_coreset` states it:",
            markdown_table(_as_text(pd.concat([curves["ours"], curves["share"]]))),
        ],
    )


def fitted_exponent(sizes: "pd.Series[float]", seconds: "pd.Series[float]") -> float:
    """The exponent p of ``seconds = c sizes^p``, by least squares over the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def _curve(name: str, select: Selection, points: list[tuple[int, float]]) -> pd.DataFrame:
    rows = []
    for patches, share in points:
        features = clusters(patches, DIMENSIONS)
        count = coreset_size(patches, share)
        label = f"{name}, {count:,} of {patches:,}"
        one = in_turns({label: partial(select, features, count, START)}, repeats=2)[label]
        stated = stated_mib(patches, DIMENSIONS)
        rows.append((patches, share, count, one.median, one.peak_mib, stated))
    return pd.DataFrame(
        rows, columns=["patches", "share", "centres", "seconds", "peak_mib", "stated_mib"]
    )


def _as_text(curve: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "patches": curve["patches"].map("{:,}".format),
            "share": curve["share"].map("{:.0%}".format),
            "centres": curve["centres"].map("{:,}".format),
            "seconds": curve["seconds"].map("{:.3g}".format),
            "measured MiB": curve["peak_mib"].map("{:.0f}".format, na_action="ignore"),
            "stated MiB": curve["stated_mib"].map("{:.0f}".format),
        }
    )


def _draw(
    curves: dict[str, pd.DataFrame], exponents: dict[str, float], plan: Plan, output: Path
) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    import seaborn as sns
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter

    sns.set_theme(context="paper", style="whitegrid", palette="colorblind")
    # Keep text as text, so that it can be searched and uses the reader's fonts.
    mpl.rcParams["svg.fonttype"] = "none"
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained")
    blue, orange = sns.color_palette("colorblind", 2)
    looks = {"ours": ("ours", blue, "o", left), "plain": ("plain greedy", orange, "s", left)}
    looks["share"] = ("ours", blue, "o", right)
    for name, (label, colour, marker, axes) in looks.items():
        curve = curves[name]
        sizes = 100 * curve["share"] if name == "share" else curve["patches"]
        power = exponents[name]
        # Least squares over logarithms passes through their mean.
        middle = np.exp(np.log(curve["seconds"]).mean() - power * np.log(sizes).mean())
        axes.loglog(sizes, curve["seconds"], marker, color=colour, markersize=5)
        axes.loglog(
            sizes, middle * sizes**power, "-", color=colour, label=f"{label}, exponent {power:.2f}"
        )
    left.set(title="1 % kept", xlabel="patches", ylabel="time (s)")
    right.set(title=f"{plan.share_patches:,} patches", xlabel="share kept (%)", ylabel="time (s)")
    right.set_xticks([100 * share for share in SHARES])
    plain_number = FuncFormatter(lambda value, _: f"{value:,g}")
    left.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    right.xaxis.set_major_formatter(plain_number)
    for axes in (left, right):
        axes.yaxis.set_major_formatter(plain_number)
        axes.xaxis.set_minor_formatter("")
        axes.yaxis.set_minor_formatter("")
        # An axis that spans less than a power of ten would have one tick label or none.
        axes.set_ylim(axes.get_ylim()[0] / 2, axes.get_ylim()[1] * 2)
        axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.25))
    figure.suptitle(f"Time of an exact greedy coreset, {DIMENSIONS} dimensions")
    for ending in ("png", "svg"):
        figure.savefig(output / f"scaling.{ending}", dpi=300)
    plt.close(figure)
