"""Which results an edit of the code makes stale.

Rooms import downwards only, so that a step's results depend on its room, the rooms before it in
this list, and the settings that all read.
"""

import hashlib
import json
from functools import cache
from pathlib import Path

ROOMS = (
    "datasets",
    "features",
    "representation",
    "detection",
    "refinement",
    "evaluation",
    "reporting",
)
PACKAGE = Path(__file__).parents[1]


@cache
def source_hash(room: str) -> str:
    """Return twelve hexadecimal digits that change with any code that ``room`` may depend on.

    Args:
        room: one of ``ROOMS``.
    """
    digest = hashlib.sha256()
    files = list((PACKAGE / "settings").rglob("*.py"))
    if room not in ("datasets", "features"):
        files += (PACKAGE / "runs").rglob("*.py")
    if room == "reporting":
        files += (PACKAGE / "suites").rglob("*.py")
    for above in ROOMS[: ROOMS.index(room) + 1]:
        files += [file for file in (PACKAGE / above).rglob("*") if file.suffix != ".pyc"]
    for file in sorted(file for file in files if file.is_file()):
        digest.update(str(file.relative_to(PACKAGE)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def code_fingerprint(*modules: str) -> str:
    """To come."""
    return ""


def fingerprint(*parts: str | int) -> str:
    """Return sixteen hexadecimal digits that name what a result was made of, and by which code.

    A result is current while the fingerprint written with it is the one that it would get today.
    """
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
