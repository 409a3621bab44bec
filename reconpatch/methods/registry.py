"""The list of all methods."""

from typing import Any

from reconpatch.methods.linear_map import LinearMap
from reconpatch.methods.method import Method
from reconpatch.methods.patchcore import PatchCore
from reconpatch.methods.reconpatch import ReConPatch

METHODS: dict[str, type[Method[Any]]] = {
    method.name(): method
    for method in (
        PatchCore,
        ReConPatch,
        LinearMap,
    )
}
"""Every method by its name in suites and tables."""
