"""The result of learning a representation, before it is written to files."""

from dataclasses import dataclass, field

import pandas as pd
from torch import Tensor


@dataclass(frozen=True)
class Learned:
    """A representation and the record of its training, by the names of the files to write.

    Attributes:
        tensors: ``representation`` has the layers by name (``f.weight``, ``f.bias``, ...).
        tables: for ReConPatch ``training``, with a row for each epoch.
    """

    tensors: dict[str, dict[str, Tensor]]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
