"""The record that a step leaves beside its files: what they were made of, and their hashes.

A step that is current is left as it is::

    made_of = fingerprint(...)
    if not is_current(folder / "training.json", made_of):
        ...  # Make the files.
        write_record(folder / "training.json", made_of, {...}, ["representation.safetensors"])

Whoever reads a file asks for it by its record: ``whole(record, name)``. A file is hashed once a
process. What is not as it was written is made anew by its step, and refused by all others.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from reconpatch.utils.errors import InputError
from reconpatch.utils.files import hash_of, read_json, write_json

SEAL = "seal"
_HASHES: dict[Path, tuple[tuple[int, int], str]] = {}


class DamagedError(InputError):
    """A file is not as it was written."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path} {what}. {_remedy(path)}")


def is_current(path: Path, made_of: str) -> bool:
    """Return whether what a step left is what it would leave today, and all its files are whole.

    What is damaged is named on the standard error.

    Args:
        path: the step's record.
        made_of: the fingerprint that it would get today.
    """
    if not path.is_file():
        return False
    try:
        record = read_record(path)
        if record.get("fingerprint") != made_of:
            return False
        for name in record.get("files", {}):
            whole(path, name)
    except DamagedError as error:
        print(f"{str(error).partition('. ')[0]}: it is made anew.", file=sys.stderr)
        return False
    return True


def write_record(
    path: Path,
    made_of: str,
    content: Mapping[str, Any] | None = None,
    files: Iterable[str] = (),
) -> None:
    """Write a step's record; it comes last, as it says that the step's files are there.

    Args:
        path: where it goes.
        made_of: the fingerprint of what the files were made of.
        content: what else there is to tell, as JSON-ready values.
        files: names of the step's files beside the record, which are hashed.
    """
    hashes = {name: _hash(path.parent / name) for name in files}
    write_sealed(path, {"fingerprint": made_of, **(content or {}), "files": hashes})


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON-ready ``content`` with its own hash, so that ``read_record`` can trust it."""
    write_json(path, {**content, SEAL: _seal(content)})


def read_record(path: Path) -> dict[str, Any]:
    """Return what ``write_record`` or ``write_sealed`` wrote.

    Raises:
        FileNotFoundError: the step has not run.
        DamagedError: the file is not as it was written.
    """
    try:
        record = read_json(path)
    except ValueError:
        raise DamagedError(path, "is damaged") from None
    if not isinstance(record, dict) or SEAL not in record:
        raise DamagedError(path, "is no sealed record of this version")
    if record.pop(SEAL) != _seal(record):
        raise DamagedError(path, "was changed since it was written")
    return record


def whole(record: Path, name: str) -> Path:
    """Return the path of a file that a step left, once its hash is that in the step's record.

    Args:
        record: the step's record.
        name: the file's name, beside the record.

    Raises:
        FileNotFoundError: the step has not run.
        DamagedError: the file is gone, or it or its record is not as it was written.
    """
    path = record.parent / name
    expected = read_record(record).get("files", {}).get(name)
    if not path.is_file():
        raise DamagedError(path, "is missing")
    if expected != _hash(path):
        raise DamagedError(path, f"is not what {record.name} says that was written")
    return path


def _hash(path: Path) -> str:
    status = path.stat()
    state = (status.st_mtime_ns, status.st_size)
    known = _HASHES.get(path)
    if known is None or known[0] != state:
        known = _HASHES[path] = (state, hash_of(path))
    return known[1]


def _seal(content: Mapping[str, Any]) -> str:
    # Through JSON, where keys are text and tuples lists.
    read_back = json.loads(json.dumps(dict(content)))
    return sha256(json.dumps(read_back, sort_keys=True).encode()).hexdigest()


def _remedy(path: Path) -> str:
    """What to delete so that the next call makes it anew."""
    results = next((p for p in path.parents if p.name in ("runs", "representations")), None)
    if results is None:
        return f"Delete {path.parent} and run the same command again: it is made anew."
    of = path.relative_to(results).parts
    batches = results.with_name("batches").joinpath(*of[:2])
    return (
        f"Delete {results.joinpath(*of[:4])} and {batches}, and run the same command again: what "
        "is missing is made anew, and the rest stays."
    )
