"""Settings: validated on entry, frozen, and named by their content."""

import hashlib
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Share = Annotated[float, Field(gt=0, le=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


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
