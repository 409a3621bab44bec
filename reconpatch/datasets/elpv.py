"""ELPV: photos of solar cells that come with a Python package.

2,624 electroluminescence images of 300 x 300 grey pixels, each with the probability of a defect
(0, 1/3, 2/3 or 1) and the type of the cell (``mono`` or ``poly`` crystalline). Here each type is a
category. Probability 0 is normal and 1 is anomalous; images in between are left out. There are no
masks and no official split.

Source: Buerhop-Lutz et al., "A Benchmark for Visual Identification of Defective Solar Cells in
Electroluminescence Imagery", EU PVSEC 2018; Deitsch et al., "Automatic classification of defective
photovoltaic module cells in electroluminescence images", Solar Energy 185, 2019. The images are
under CC BY-NC-SA 4.0: no commercial use.
"""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reconpatch.datasets.category import GOOD, Category, Sample
from reconpatch.datasets.inspection import inspect_category
from reconpatch.utils.errors import InputError

if TYPE_CHECKING:
    from reconpatch.datasets.source import Source

CELL_TYPES = ("mono", "poly")
DEFECTIVE = "defective"


def read(source: "Source", name: str) -> Category:
    """Return one type of cells, split by the source's ``split_seed`` and inspected.

    The test set has a third of the normal cells, rounded down, and all anomalous ones; the other
    normal cells are for training. With the same seed, a smaller set is a part of a larger one.

    Raises:
        InputError: The package ``elpv-dataset`` is missing, there is no such category, or it has
            fewer images than asked for.
    """
    if name not in CELL_TYPES:
        raise InputError(f"ELPV has no category {name}; it has {' and '.join(CELL_TYPES)}")
    folder = _folder()
    cells = _read_labels(folder / "labels.csv", name)
    shuffle = np.random.default_rng(source.split_seed).permutation
    normal, anomalous = ([files[i] for i in shuffle(len(files))] for files in cells)
    held_out, training = normal[: len(normal) // 3], normal[len(normal) // 3 :]
    per_class = min(len(held_out), len(anomalous))
    if (source.train or 0) > len(training) or (source.test_per_class or 0) > per_class:
        raise InputError(
            f"ELPV {name} has {len(training)} images to train on, and to test on "
            f"{len(held_out)} normal and {len(anomalous)} anomalous ones; "
            f"ask for no more than train: {len(training)}, test_per_class: {per_class}"
        )
    return inspect_category(
        folder,
        dataset=source.dataset,
        name=name,
        train=_samples(training[: source.train], GOOD),
        test=_samples(held_out[: source.test_per_class], GOOD)
        + _samples(anomalous[: source.test_per_class], DEFECTIVE),
    )


def _folder() -> Path:
    """Return the folder that holds the labels and the images, without importing the package."""
    package = find_spec("elpv_dataset")
    if package is None or package.origin is None:
        raise InputError("the ELPV images are not installed; pip install elpv-dataset")
    return Path(package.origin).parent / "data"


def _read_labels(path: Path, cell_type: str) -> tuple[list[Path], list[Path]]:
    """Return the files of the normal and of the anomalous cells of one type."""
    rows = [line.split() for line in path.read_text().splitlines()]
    normal, anomalous = (
        [path.parent / image for image, p, cell in rows if cell == cell_type and float(p) == wanted]
        for wanted in (0.0, 1.0)
    )
    return normal, anomalous


def _samples(images: Iterable[Path], defect: str) -> list[Sample]:
    return [Sample(image, defect, mask=None) for image in sorted(images)]
