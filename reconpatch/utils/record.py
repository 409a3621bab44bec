"""The record that a step leaves beside its files: what they were made of.

A step that is current is left as it is::

    made_of = fingerprint(...)
    if not is_current(folder / "training.json", made_of, "representation.safetensors"):
        ...  # Make the files.
        write_record(folder / "training.json", made_of, {"seconds": seconds})
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconpatch.utils.files import read_json, write_json


def is_current(path: Path, made_of: str, *files: str) -> bool:
    """Return whether what a step left is what it would leave today.

    Args:
        path: the step's record, a JSON file. One that is damaged is not current.
        made_of: the fingerprint that it would get today.
        files: names of files that must be there too, beside the record.
    """
    try:
        record = read_json(path)
    except (FileNotFoundError, ValueError):
        return False
    return (
        isinstance(record, dict)
        and record.get("fingerprint") == made_of
        and all((path.parent / name).is_file() for name in files)
    )


def write_record(path: Path, made_of: str, content: Mapping[str, Any] | None = None) -> None:
    """Write a step's record; it comes last, as it says that the step's files are there.

    Args:
        path: where it goes.
        made_of: the fingerprint of what the files were made of.
        content: what else there is to tell, as JSON-ready values.
    """
    write_json(path, {"fingerprint": made_of, **(content or {})})
