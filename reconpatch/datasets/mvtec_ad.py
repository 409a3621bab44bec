"""What is known of MVTec AD's fifteen categories and BTAD's three without looking at the images.

Sources: Bergmann et al., "MVTec AD -- A Comprehensive Real-World Dataset for Unsupervised Anomaly
Detection", CVPR 2019, Table 1. The images are under CC BY-NC-SA 4.0: no commercial use. Mishra et
al., "VT-ADL: A Vision Transformer Network for Image Anomaly Detection and Localization", ISIE 2021.
Of BTAD's test images only the sums of normal and defective ones are checked, against the paper's.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import cast

from reconpatch.datasets.category import Kind


@dataclass(frozen=True)
class OfficialCategory:
    """A category as published: its kind, where one is given, and how many images it has."""

    kind: Kind | None
    train: int
    test_good: int
    test_defective: int


def mvtec_ad() -> dict[str, OfficialCategory]:
    """Return MVTec AD's fifteen categories by name."""
    return _read("mvtec_ad.csv")


def btad() -> dict[str, OfficialCategory]:
    """Return BTAD's three products by name."""
    return _read("btad.csv")


@cache
def _read(name: str) -> dict[str, OfficialCategory]:
    with (files(__package__) / name).open() as lines:
        return {
            row["category"]: OfficialCategory(
                kind=cast(Kind | None, row.get("kind")),
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
