"""What a run's scores are worth: AUROC, discriminability index (Eq. 12)."""

from reconpatch.evaluation.auroc import auroc
from reconpatch.evaluation.discriminability import discriminability_index
from reconpatch.evaluation.evaluate import evaluate

__all__ = ["auroc", "discriminability_index", "evaluate"]
