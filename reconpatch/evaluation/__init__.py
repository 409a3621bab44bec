"""What a run's scores are worth: AUROC, its intervals, d' (Eq. 12), times."""

from reconpatch.evaluation.auroc import auroc, roc_curve
from reconpatch.evaluation.bootstrap import interval
from reconpatch.evaluation.diagnostics import (
    SAMPLE,
    effective_rank,
    neighbour_overlap,
    relative_spread,
)
from reconpatch.evaluation.discriminability import discriminability_index
from reconpatch.evaluation.evaluate import REPLICATES, evaluate
from reconpatch.evaluation.inference_time import ITERATIONS, inference_times

__all__ = [
    "ITERATIONS",
    "REPLICATES",
    "SAMPLE",
    "auroc",
    "discriminability_index",
    "effective_rank",
    "evaluate",
    "inference_times",
    "interval",
    "neighbour_overlap",
    "relative_spread",
    "roc_curve",
]
