"""A reproducibility benchmark of ReConPatch (Hyun et al., WACV 2024) beside PatchCore.

Data flows one way, and so do imports: datasets, features, representation, detection, evaluation,
reporting. For images of one's own the package has estimators: ``reconpatch.ReConPatch``,
``reconpatch.PatchCore`` and others, and ``reconpatch.load``.
"""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconpatch.estimation.estimators import CFA as CFA
    from reconpatch.estimation.estimators import CFLOW as CFLOW
    from reconpatch.estimation.estimators import PNI as PNI
    from reconpatch.estimation.estimators import RD4AD as RD4AD
    from reconpatch.estimation.estimators import SPADE as SPADE
    from reconpatch.estimation.estimators import FastFlow as FastFlow
    from reconpatch.estimation.estimators import MHPatchcore as MHPatchcore
    from reconpatch.estimation.estimators import PaDiM as PaDiM
    from reconpatch.estimation.estimators import PatchCore as PatchCore
    from reconpatch.estimation.estimators import ReConPatch as ReConPatch
    from reconpatch.estimation.estimators import load as load
    from reconpatch.estimation.streaming import stream as stream

__version__ = "0.1.0"

if sys.platform == "darwin":
    # What Apple's GPUs cannot do, the CPU does. torch reads this when it is imported.
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

_ESTIMATORS = (
    "CFA",
    "CFLOW",
    "PNI",
    "RD4AD",
    "SPADE",
    "FastFlow",
    "MHPatchcore",
    "PaDiM",
    "PatchCore",
    "ReConPatch",
    "load",
)
_HOMES = {
    **dict.fromkeys(_ESTIMATORS, "reconpatch.estimation.estimators"),
    "stream": "reconpatch.estimation.streaming",
}


def __getattr__(name: str) -> Any:
    """Import an estimator when it is asked for; most of the package needs no torch."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
