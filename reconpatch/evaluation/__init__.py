"""What a run's scores are worth: AUROC, its intervals, d' (Eq. 12), diagnostics."""

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

__all__ = [
    "REPLICATES",
    "SAMPLE",
    "auroc",
    "discriminability_index",
    "effective_rank",
    "evaluate",
    "interval",
    "neighbour_overlap",
    "relative_spread",
    "roc_curve",
]
