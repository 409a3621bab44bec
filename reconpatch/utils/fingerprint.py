"""Which results an edit of the code makes stale."""

import hashlib
import json
from functools import cache
from pathlib import Path

from reconpatch.utils.import_graph import PACKAGE, code_of, imported_modules


@cache
def code_fingerprint(*modules: str, package: Path = PACKAGE) -> str:
    """Return twelve hexadecimal digits of the code of modules and of all that they import.

    Docstrings, comments and formatting do not count. Files that are not Python do not either: what
    reads one has to hash what it read.

    Args:
        modules: full names, such as ``reconpatch.features.images``.
        package: the folder of the package, whose name is the folder's.

    Raises:
        ModuleNotFoundError: the package has no such module.
    """
    digest = hashlib.sha256()
    for module in imported_modules(*modules, package=package):
        digest.update(f"{module}\0{code_of(module, package).text}\0".encode())
    return digest.hexdigest()[:12]


def fingerprint(*parts: str | int) -> str:
    """Return sixteen hexadecimal digits that name what a result was made of, and by which code.

    A result is current while the fingerprint written with it is the one that it would get today.
    """
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
