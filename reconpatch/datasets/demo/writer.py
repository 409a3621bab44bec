"""Write the demo set to disk, in the MVTec AD layout."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from reconpatch.datasets.category import GOOD
from reconpatch.datasets.demo.categories import CATEGORIES
from reconpatch.datasets.demo.pictures import render
from reconpatch.utils.errors import InputError


def write_demo(root: Path, seed: int) -> None:
    """Write both demo categories below ``root``, whole or not at all.

    ``CATEGORIES`` says how many images each has; every defect has an exact mask. All files are PNG
    images of 256 x 256 pixels. On one machine, the same seed writes the same bytes.

    Raises:
        InputError: ``root`` is a file, or a folder that is not empty.
    """
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise InputError(
            f"{root} already exists; delete it, or give another folder for the demo set"
        )
    aside = root.with_name(f".{root.name}.{os.getpid()}.part")
    folders = [
        (name, folder, count)
        for name, category in CATEGORIES.items()
        for folder, count in category.folders.items()
    ]
    try:
        with ThreadPoolExecutor() as pool:
            for done in [pool.submit(_write_folder, aside, *folder, seed) for folder in folders]:
                done.result()
        aside.replace(root)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_folder(root: Path, category: str, folder: str, count: int, seed: int) -> None:
    split, defect = folder.split("/")
    images = root / category / folder
    masks = root / category / "ground_truth" / defect
    images.mkdir(parents=True)
    if defect != GOOD:
        masks.mkdir(parents=True)
    for index in range(count):
        picture = render(category, split, defect, index, seed)
        # Noise hardly compresses, and a higher level would take as long as the drawing.
        Image.fromarray(picture.defective).save(images / f"{index:03}.png", compress_level=1)
        if defect != GOOD:
            mask = picture.mask.astype(np.uint8) * 255
            Image.fromarray(mask).save(masks / f"{index:03}_mask.png")
