"""Categories in the folder layout of MVTec AD, which most later data sets can be brought to.

A category's folder holds ``train/good/*``, ``test/good/*``, ``test/<defect>/*`` and, for the image
``test/<defect>/<stem>.*``, the mask ``ground_truth/<defect>/<stem>_mask.png``; the mask may also be
called ``<stem>.png``. Without the folder ``ground_truth`` the category has no masks.

Source of the layout: Bergmann et al., "MVTec AD -- A Comprehensive Real-World Dataset for
Unsupervised Anomaly Detection", CVPR 2019.
"""

from pathlib import Path

from reconpatch.datasets.category import GOOD, Category, Kind, Sample
from reconpatch.datasets.images import list_images
from reconpatch.datasets.inspection import inspect_category
from reconpatch.errors import InputError


def read_mvtec_layout(folder: Path, dataset: str, kind: Kind | None) -> Category:
    """Return the category in ``folder``, inspected and named after it.

    Args:
        folder: The folder that holds ``train``, ``test`` and perhaps ``ground_truth``.
        dataset: The data set's name.
        kind: Object or texture, or None where the data set does not say.

    Raises:
        InputError: The folder is missing or not in this layout, or the category is not whole.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise InputError(
            f"{folder} is not a folder; give the root that holds the categories, "
            "and the category by the name of its folder"
        )
    normal = folder / "train" / GOOD
    if not normal.is_dir():
        raise InputError(
            f"{normal} is missing; a category in the MVTec AD layout keeps its training images "
            "there"
        )
    return inspect_category(
        folder,
        dataset=dataset,
        name=folder.name,
        kind=kind,
        train=[Sample(image, GOOD, mask=None) for image in list_images(normal)],
        test=[
            Sample(image, defect.name, _mask_of(image, folder / "ground_truth"))
            for defect in _subfolders(folder / "test")
            for image in list_images(defect)
        ],
    )


def find_categories(root: Path) -> list[str]:
    """Return the sorted names of the folders in ``root`` that are categories in this layout.

    Raises:
        InputError: The root is missing or holds none; where one can be found a level above or
            below, the message says which folder to give instead.
    """
    root = root.absolute()
    if not root.is_dir():
        raise InputError(f"{root} is not a folder; give the one that holds the categories")
    names = [folder.name for folder in _subfolders(root) if _is_category(folder)]
    if names:
        return names
    if _is_category(root):
        raise InputError(f"{root} is itself a category; give {root.parent} instead")
    for folder in _subfolders(root):
        if any(_is_category(inner) for inner in _subfolders(folder)):
            raise InputError(f"{root} holds no category, but {folder} does; give that instead")
    raise InputError(
        f"{root} holds no category in the MVTec AD layout: no folder in it has train/{GOOD}"
    )


def _is_category(folder: Path) -> bool:
    return (folder / "train" / GOOD).is_dir()


def _subfolders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


def _mask_of(image: Path, ground_truth: Path) -> Path | None:
    """Return where the mask lies, or should lie, or None if the image needs none."""
    defect = image.parent.name
    if defect == GOOD or not ground_truth.is_dir():
        return None
    expected = ground_truth / defect / f"{image.stem}_mask.png"
    other = expected.with_name(f"{image.stem}.png")
    return other if other.exists() and not expected.exists() else expected
