"""The list of all methods."""

from typing import Any

from reconpatch.methods.cfa import CFA
from reconpatch.methods.cflow import CFLOW
from reconpatch.methods.fastflow import FastFlow
from reconpatch.methods.linear_map import LinearMap
from reconpatch.methods.method import Method
from reconpatch.methods.mh_patchcore import MHPatchcore
from reconpatch.methods.padim import PaDiM
from reconpatch.methods.patchcore import PatchCore
from reconpatch.methods.pni import PNI
from reconpatch.methods.rd4ad import RD4AD
from reconpatch.methods.reconpatch import ReConPatch
from reconpatch.methods.spade import SPADE

METHODS: dict[str, type[Method[Any]]] = {
    method.name(): method
    for method in (
        PatchCore,
        ReConPatch,
        LinearMap,
        MHPatchcore,
        PaDiM,
        SPADE,
        PNI,
        FastFlow,
        CFLOW,
        CFA,
        RD4AD,
    )
}
"""Every method by its name in suites and tables."""
