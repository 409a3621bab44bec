"""Our exact greedy coreset beside others', on the same matrix."""

from functools import partial

from torch import Tensor

from benchmarks import anomalib_peer
from benchmarks.measure import Measured, in_turns
from benchmarks.peers import approximate_greedy, plain_greedy
from benchmarks.plan import Plan
from benchmarks.report import Findings, Row
from reconpatch.detection.coreset import coreset_memory, coreset_size, greedy_coreset

START = 0
ANOMALIB = "anomalib KCenterGreedy"
PLAIN = "plain exact greedy"
APPROXIMATE = "amazon-science's approximate greedy"


def measure(features: Tensor, source: str, plan: Plan) -> Findings:
    """Measure the selection of 1 % and of 10 % of ``features``.

    The plain rule runs once, at 1 %. Its time at 10 % is extrapolated from its time for a centre.
    """
    few, many = (coreset_size(len(features), share) for share in (0.01, 0.1))
    measured = in_turns(
        {
            "ours, 1 %": partial(greedy_coreset, features, few, START),
            PLAIN: partial(plain_greedy, features, few, START),
            APPROXIMATE: partial(approximate_greedy, features, few, 0),
            ANOMALIB: partial(anomalib_peer.k_center_greedy, features, 0.01, 0),
            "ours, 10 %": partial(greedy_coreset, features, many, START),
        }
    )
    ours, plain = measured["ours, 1 %"], measured[PLAIN]
    shape = f"{len(features):,} x {features.shape[1]}"
    what = f"coreset, {shape}, 1 %"
    goals = (30.0, 8.0, 8.0) if plan.goals else (None, None, None)
    unlike = len(set(plain.result.tolist()) ^ set(ours.result.tolist())) // 2
    return Findings(
        "The coreset",
        [
            Row(what, ours, ANOMALIB, measured[ANOMALIB], goal=goals[0]),
            Row(what, ours, PLAIN, plain, goal=goals[1]),
            Row(what, ours, APPROXIMATE, measured[APPROXIMATE]),
            Row(
                f"coreset, {shape}, 10 %",
                measured["ours, 10 %"],
                f"{PLAIN}, extrapolated from its first {few:,} of {many:,} centres",
                plain.times(many / few),
                goal=goals[2],
            ),
        ],
        [
            f"The matrix: {source}.",
            f"Of the {few:,} points at 1 %, ours and the plain rule from the same first point "
            f"differ in {unlike}.",
            "Peak memory of ours beside the matrix, measured / stated: "
            + "; ".join(
                f"{share} {_peak(measured[name])} / {stated_mib(*features.shape):.0f} MiB"
                for share, name in (("1 %", "ours, 1 %"), ("10 %", "ours, 10 %"))
            )
            + f". The matrix itself has {features.nbytes / 2**20:.0f} MiB.",
        ],
    )


def stated_mib(rows: int, dimensions: int) -> float:
    """The memory that ``greedy_coreset`` states in its docstring, in MiB."""
    return coreset_memory(rows, dimensions) / 2**20


def _peak(measured: Measured) -> str:
    return "?" if measured.peak_mib is None else f"{measured.peak_mib:.0f}"
