"""Settings: validated on entry, frozen, and named by their content."""

import hashlib
from pathlib import Path
from typing import Annotated, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from reconpatch.utils.errors import InputError

Share = Annotated[float, Field(gt=0, le=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
T = TypeVar("T")


class Settings(BaseModel):
    """A frozen group of settings with a content key; an unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that name the content: equal settings, equal key."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


def readable(error: ValidationError) -> str:
    """One line a mistake: where it stands and what is wrong with it."""
    lines = [
        f"{'.'.join(map(str, mistake['loc'])) or 'the whole'}: "
        f"{mistake['msg'].removeprefix('Value error, ')}"
        + ("" if mistake["type"] in ("missing", "value_error") else f" (given: {mistake['input']})")
        for mistake in error.errors()
    ]
    return "; ".join(lines)


def read_settings(path: Path, form: type[T], holds: str) -> T:
    """Return what a YAML file holds.

    Args:
        path: the file.
        form: what it must be.
        holds: what that is, as an error names it.

    Raises:
        InputError: no such file, or it holds unknown names or impossible values.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing; it describes {holds}.")
    try:
        return TypeAdapter(form).validate_python(yaml.safe_load(path.read_text()))
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {error}") from None
    except ValidationError as error:
        raise InputError(f"{path} does not describe {holds}: {readable(error)}") from None
