"""Move the files of VisA's archive into MVTec AD's folder layout.

Its images are sorted by label in ``<category>/Data/Images``, and ``split_csv/1cls.csv`` says which
are for training: the one-class split of Zou et al., "SPot-the-Difference Self-supervised
Pre-training for Anomaly Detection and Segmentation", ECCV 2022.
"""

import csv
from pathlib import Path

from reconpatch.utils.errors import InputError


def bring_to_mvtec_layout(folder: Path) -> None:
    """Move the images and masks in ``folder`` to where MVTec AD's layout has them.

    Raises:
        InputError: the split's list is missing, or names a file that is missing or lies elsewhere.
    """
    split = folder / "split_csv" / "1cls.csv"
    try:
        with split.open(newline="") as lines:
            for row in csv.DictReader(lines):
                category = folder / row["object"]
                kind = "good" if row["label"] == "normal" else "bad"
                _move(folder, row["image"], category / row["split"] / kind)
                if row["mask"]:
                    _move(folder, row["mask"], category / "ground_truth" / kind)
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{split} does not match VisA's images ({error}).") from None


def _move(folder: Path, name: str, place: Path) -> None:
    source = (folder / name).resolve()
    top = folder.resolve()
    if not (source.is_relative_to(top) and place.resolve().is_relative_to(top)):
        raise ValueError(f"{name} leads out of the folder")
    place.mkdir(parents=True, exist_ok=True)
    source.rename(place / source.name)
