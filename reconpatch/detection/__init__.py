"""From features to scores and anomaly maps (Eqs. 9-11)."""

from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.detection.coreset import coreset_size, greedy_coreset
from reconpatch.detection.detect import Scores, build_memory_bank, represent, score
from reconpatch.detection.ensemble import modified_z_score
from reconpatch.detection.memory_bank import MemoryBank

__all__ = [
    "MemoryBank",
    "Scores",
    "anomaly_maps",
    "build_memory_bank",
    "coreset_size",
    "greedy_coreset",
    "modified_z_score",
    "represent",
    "score",
]
