"""A reproducibility benchmark of ReConPatch (Hyun et al., WACV 2024) beside PatchCore.

Data flows one way, and so do imports: datasets, features, representation, detection, evaluation,
reporting. For images of one's own the package has estimators: ``reconpatch.ReConPatch``,
``reconpatch.PatchCore`` and others, and ``reconpatch.load``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconpatch.estimation.estimators import SPADE as SPADE
    from reconpatch.estimation.estimators import MHPatchcore as MHPatchcore
    from reconpatch.estimation.estimators import PaDiM as PaDiM
    from reconpatch.estimation.estimators import PatchCore as PatchCore
    from reconpatch.estimation.estimators import ReConPatch as ReConPatch
    from reconpatch.estimation.estimators import load as load

__version__ = "0.1.0"

_ESTIMATION = ("MHPatchcore", "PaDiM", "PatchCore", "ReConPatch", "SPADE", "load")


def __getattr__(name: str) -> Any:
    """Import an estimator when it is asked for; most of the package needs no torch."""
    if name in _ESTIMATION:
        return getattr(import_module("reconpatch.estimation.estimators"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_ESTIMATION])
