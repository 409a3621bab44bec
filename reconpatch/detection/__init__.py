"""From features to scores and anomaly maps (Eqs. 9-11)."""

from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.detection.coreset import coreset_size, greedy_coreset, select_coreset
from reconpatch.detection.ensemble import EnsembleMember, fuse, modified_z_score
from reconpatch.detection.memory_bank import MemoryBank
from reconpatch.detection.represent import represent
from reconpatch.detection.scores import Scores
from reconpatch.detection.scoring import score, score_training

__all__ = [
    "EnsembleMember",
    "MemoryBank",
    "Scores",
    "anomaly_maps",
    "coreset_size",
    "fuse",
    "greedy_coreset",
    "modified_z_score",
    "represent",
    "score",
    "score_training",
    "select_coreset",
]
