"""A network that refines anomaly maps, trained on simulated defects (Appendix D)."""

from reconpatch.refinement.defects import Simulated, simulate
from reconpatch.refinement.foreground import foreground
from reconpatch.refinement.network import RefinementNetwork
from reconpatch.refinement.pool import Pool, read_pool, write_pool
from reconpatch.refinement.refine import refine
from reconpatch.refinement.scoring import score_simulated
from reconpatch.refinement.textures import SHIPPED, Textures, find_textures
from reconpatch.refinement.training import train_refinement

__all__ = [
    "SHIPPED",
    "Pool",
    "RefinementNetwork",
    "Simulated",
    "Textures",
    "find_textures",
    "foreground",
    "read_pool",
    "refine",
    "score_simulated",
    "simulate",
    "train_refinement",
    "write_pool",
]
