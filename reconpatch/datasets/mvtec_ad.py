"""What is known of MVTec AD's fifteen categories without looking at the images.

Source: Bergmann et al., "MVTec AD -- A Comprehensive Real-World Dataset for Unsupervised Anomaly
Detection", CVPR 2019, Table 1. The images are under CC BY-NC-SA 4.0: no commercial use.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import cast

from reconpatch.datasets.category import Kind


@dataclass(frozen=True)
class OfficialCategory:
    """A category as published: its kind and how many images it has."""

    kind: Kind
    train: int
    test_good: int
    test_defective: int


@cache
def mvtec_ad() -> dict[str, OfficialCategory]:
    """Return the fifteen categories by name."""
    with (files(__package__) / "mvtec_ad.csv").open() as lines:
        return {
            row["category"]: OfficialCategory(
                kind=cast(Kind, row["kind"]),
                train=int(row["train"]),
                test_good=int(row["test_good"]),
                test_defective=int(row["test_defective"]),
            )
            for row in csv.DictReader(lines)
        }


def kind_of(dataset: str, category: str) -> Kind | None:
    """Return whether ``category`` is an object or a texture, None where that is not known."""
    official = mvtec_ad().get(category) if dataset == "mvtec" else None
    return official.kind if official else None
