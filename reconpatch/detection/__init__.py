"""From features to scores and anomaly maps (Eqs. 9-11)."""

from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.detection.coreset import coreset_size, greedy_coreset
from reconpatch.detection.detect import (
    Scores,
    represent,
    score,
    score_training,
    select_coreset,
)
from reconpatch.detection.ensemble import EnsembleMember, fuse, modified_z_score
from reconpatch.detection.memory_bank import MemoryBank
from reconpatch.detection.memory_bank_size import memory_bank_bytes

__all__ = [
    "EnsembleMember",
    "MemoryBank",
    "Scores",
    "anomaly_maps",
    "coreset_size",
    "fuse",
    "greedy_coreset",
    "memory_bank_bytes",
    "modified_z_score",
    "represent",
    "score",
    "score_training",
    "select_coreset",
]
