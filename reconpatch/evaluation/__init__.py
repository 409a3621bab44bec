"""What a run's scores are worth: AUROC, its intervals, d' (Eq. 12), thresholds, times."""

from reconpatch.evaluation.auroc import auroc, roc_curve
from reconpatch.evaluation.bootstrap import interval
from reconpatch.evaluation.claims import (
    Estimate,
    Kind,
    Verdict,
    estimate,
    judge,
    supported,
    together,
)
from reconpatch.evaluation.diagnostics import (
    SAMPLE,
    effective_rank,
    neighbour_overlap,
    relative_spread,
)
from reconpatch.evaluation.discriminability import discriminability_index
from reconpatch.evaluation.evaluate import REPLICATES, evaluate
from reconpatch.evaluation.inference_time import ITERATIONS, inference_times
from reconpatch.evaluation.threshold import best_f1_threshold

__all__ = [
    "ITERATIONS",
    "REPLICATES",
    "SAMPLE",
    "Estimate",
    "Kind",
    "Verdict",
    "auroc",
    "best_f1_threshold",
    "discriminability_index",
    "effective_rank",
    "estimate",
    "evaluate",
    "inference_times",
    "interval",
    "judge",
    "neighbour_overlap",
    "relative_spread",
    "roc_curve",
    "supported",
    "together",
]
