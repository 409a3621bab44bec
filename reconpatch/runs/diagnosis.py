"""What can be watched of a fitted method without defects."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from reconpatch.evaluation.diagnostics import (
    SAMPLE,
    effective_rank,
    neighbour_overlap,
    relative_spread,
)
from reconpatch.methods.method import Method, TrainingSet
from reconpatch.utils.errors import InputError

NEIGHBOURS, LEFT_OUT = 5, 20
"""k, and how many training images are scored without their own part in the method."""


def diagnostics(
    method: Method[Any], training: TrainingSet
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Return a fitted method's diagnostics, and reasons for those that are None."""
    metrics: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    if method.recipe.reads == "layer maps":
        for metric in ("effective_rank", "neighbour_overlap"):
            metrics[metric] = None
            reasons[metric] = "the method reads layer maps"
    else:
        flat = training.patches.reshape(-1, training.patches.shape[-1])
        rows = np.linspace(0, len(flat) - 1, min(SAMPLE, len(flat))).astype(int)
        sample = torch.from_numpy(flat[rows]).float()
        features = method.training_features(training)
        metrics["effective_rank"] = effective_rank(features)
        metrics["neighbour_overlap"] = neighbour_overlap(sample, features[rows].cpu(), NEIGHBOURS)
    try:
        left_out = method.score_training(training, LEFT_OUT)
        metrics["left_out_spread"] = relative_spread(left_out.images)
    except InputError as error:
        metrics["left_out_spread"] = None
        reasons["left_out_spread"] = str(error)
    for metric, share in _label_spread(method.folder).items():
        metrics[metric] = share
        if share is None:
            reasons[metric] = "nothing is trained"
    return metrics, reasons


def _label_spread(folder: Path | None) -> dict[str, float | None]:
    """The shares of pseudo-labels near 0 and near 1 at a training's end."""
    shares = ("labels_near_zero", "labels_near_one")
    if folder is None or not (path := folder / "training.parquet").is_file():
        return dict.fromkeys(shares)
    last = pd.read_parquet(path).tail(1)
    return {share: float(last[share].iloc[0]) if len(last) else None for share in shares}
