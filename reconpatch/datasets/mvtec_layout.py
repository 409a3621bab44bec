"""Read categories in the folder layout of MVTec AD, which many later data sets share.

A category's folder holds ``train/good/*``, ``test/good/*``, ``test/<defect>/*`` and, for the image
``test/<defect>/<stem>.*``, the mask ``ground_truth/<defect>/<stem>_mask.png``; the mask may also be
called ``<stem>.png`` or ``<stem>.bmp``. Without the folder ``ground_truth`` the category has no
masks. BTAD has the same layout, but calls its normal images ``ok``.

Source of the layout: Bergmann et al., "MVTec AD -- A Comprehensive Real-World Dataset for
Unsupervised Anomaly Detection", CVPR 2019; Mishra et al., "VT-ADL: A Vision Transformer Network for
Image Anomaly Detection and Localization", ISIE 2021 (BTAD).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from reconpatch.datasets.category import GOOD, NORMAL, Category, Sample
from reconpatch.datasets.images import list_images
from reconpatch.datasets.inspection import inspect_category
from reconpatch.utils.errors import InputError

if TYPE_CHECKING:
    from reconpatch.datasets.source import Source


def read_mvtec_layout(folder: Path, dataset: str) -> Category:
    """Return the category in ``folder``, inspected and named after it; its kind is left open.

    Raises:
        InputError: The folder is missing or not in this layout, or the category is not whole.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise InputError(
            f"{folder} is not a folder; give the root that holds the categories, "
            "and the category by the name of its folder"
        )
    normal = _normal_images(folder)
    if normal is None:
        raise InputError(
            f"{folder / 'train' / GOOD} is missing; a category in the MVTec AD layout keeps its "
            "training images there"
        )
    return inspect_category(
        folder,
        dataset=dataset,
        name=folder.name,
        train=[Sample(image, GOOD, mask=None) for image in list_images(normal)],
        test=[
            Sample(image, GOOD, mask=None)
            if part.name == normal.name
            else Sample(image, part.name, _mask_of(image, folder / "ground_truth"))
            for part in _subfolders(folder / "test")
            for image in list_images(part)
        ],
    )


def read(source: "Source", name: str) -> Category:
    """Return the category ``name`` of a source; raises as :func:`read_mvtec_layout`."""
    assert source.root  # A source of this layout has one.
    return read_mvtec_layout(source.root / name, source.dataset)


def find_categories(root: Path) -> list[str]:
    """Return the sorted names of the folders in ``root`` that are categories in this layout.

    Raises:
        InputError: The root is missing or holds no category. If the folder above or below it is
            the right one, the message says so.
    """
    root = root.absolute()
    if not root.is_dir():
        raise InputError(f"{root} is not a folder; give the one that holds the categories")
    names = [folder.name for folder in _subfolders(root) if _normal_images(folder)]
    if names:
        return names
    if _normal_images(root):
        raise InputError(f"{root} is itself a category; give {root.parent} instead")
    for folder in _subfolders(root):
        if any(_normal_images(inner) for inner in _subfolders(folder)):
            raise InputError(f"{root} holds no category, but {folder} does; give that instead")
    raise InputError(
        f"{root} holds no category in the MVTec AD layout: no folder in it has train/{GOOD}"
    )


def _normal_images(folder: Path) -> Path | None:
    """The folder of a category's training images; None if ``folder`` is not a category."""
    places = (folder / "train" / name for name in NORMAL)
    return next((place for place in places if place.is_dir()), None)


def _subfolders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


def _mask_of(image: Path, ground_truth: Path) -> Path | None:
    """Return where a defect's mask is, or should be; None if the category has no masks."""
    if not ground_truth.is_dir():
        return None
    expected = ground_truth / image.parent.name / f"{image.stem}_mask.png"
    others = (expected.with_name(f"{image.stem}{ending}") for ending in (".png", ".bmp"))
    return next((place for place in (expected, *others) if place.exists()), expected)
