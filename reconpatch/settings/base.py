"""Settings: validated on entry, frozen, and named by their content."""

import hashlib
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from reconpatch.settings.yaml_files import read_yaml
from reconpatch.utils.errors import InputError

Share = Annotated[float, Field(gt=0, le=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Pixels = Annotated[int, Field(ge=1, le=16_384)]


def _names_a_folder(name: str) -> str:
    if name in ("", ".", "..") or len(name.encode()) > 200 or set(name) & set("/\\"):
        raise ValueError(f"{name[:100]!r} cannot be a folder's name")
    if not name.isprintable():
        raise ValueError(f"{name!r} has characters that cannot be printed")
    return name


FolderName = Annotated[str, AfterValidator(_names_a_folder)]
"""What names a folder of results, below which alone a step writes."""

T = TypeVar("T")

SHOWN = 8
"""How many mistakes an error names."""


class Settings(BaseModel):
    """A frozen group of settings with a content key; an unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that name the content: equal settings, equal key."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


def readable(error: ValidationError) -> str:
    """The first mistakes: where each stands and what is wrong with it."""
    lines = [
        f"{'.'.join(map(_short, mistake['loc'])) or 'the whole'}: "
        f"{mistake['msg'].removeprefix('Value error, ')}"
        + (
            ""
            if mistake["type"] in ("missing", "value_error")
            else f" (given: {_short(mistake['input'])})"
        )
        for mistake in error.errors()
    ]
    more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return "; ".join(lines[:SHOWN]) + more


def _short(what: object, length: int = 100) -> str:
    given = str(what)
    return given if len(given) <= length else f"{given[:length]} ..."


def read_settings(path: Path, form: type[T], holds: str) -> T:
    """Return what a YAML file holds.

    Args:
        path: the file.
        form: what it must be.
        holds: what that is, as an error names it.

    Raises:
        InputError: no such file, or it holds unknown names or impossible values.
    """
    try:
        missing = not path.is_file()
    except (OSError, ValueError):  # It cannot be a file's name.
        missing = True
    if missing:
        raise InputError(f"{_short(path)} is missing; it describes {holds}.")
    try:
        return TypeAdapter(form).validate_python(read_yaml(path))
    except ValidationError as error:
        raise InputError(f"{path} does not describe {holds}: {readable(error)}") from None
