"""What a learner makes, before it is written."""

from dataclasses import dataclass, field

import pandas as pd
from torch import Tensor


@dataclass(frozen=True)
class Learned:
    """A representation, and what its making was like, by the names of the files to come.

    Attributes:
        tensors: ``representation`` has the layers by name (``f.weight``, ``f.bias``, ...).
        tables: for ReConPatch ``training``, a row an epoch.
    """

    tensors: dict[str, dict[str, Tensor]]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
