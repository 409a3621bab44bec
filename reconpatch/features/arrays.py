"""A category's images, once through the backbone, to arrays of patch features on disk.

All that decides a feature's value is here and in what this imports; how weights are found and what
is recorded of it is ``extract``'s.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Never

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from reconpatch.datasets.category import Category, Sample
from reconpatch.features.aggregation import patch_features
from reconpatch.features.backbones import Backbone
from reconpatch.features.images import image_batches, masks
from reconpatch.features.layer_maps import Shape, pack
from reconpatch.settings.features import ExtractionSettings, FeatureSettings
from reconpatch.utils.errors import InputError
from reconpatch.utils.files import atomic_write
from reconpatch.utils.halving import Blocks
from reconpatch.utils.memory_maps import new_array

if TYPE_CHECKING:
    from reconpatch.features.store import Split
    from reconpatch.utils.provenance import Stopwatch

IMAGE_BYTES = 80 * 2**20
"""What an image of 224 x 224 pixels takes of a GPU at most, with WRN-101 and pooled features."""

ARRAYS = ("train.npy", "test.npy", "masks.npy")


def write_arrays(
    category: Category,
    settings: ExtractionSettings,
    backbone: Backbone,
    folder: Path,
    *,
    threads: int,
    batch_size: int | None,
    watch: "Stopwatch",
) -> list[Shape]:
    """Write the patch features of both splits and the test masks to ``folder``.

    Args:
        category: whose images; a split that the settings leave out gets an empty array.
        settings: how they are made.
        backbone: with the settings' layers.
        folder: where the files go that ``ARRAYS`` names.
        threads: how many decode images.
        batch_size: images that go through the backbone together; None for the pixels of 16 images
            of 224 px, on a GPU as many as a quarter of its memory holds, so that memory does not
            grow with the image's size.
        watch: takes the seconds of each file.

    Returns:
        The layer maps' shapes ``(C, h, w)`` where they are stored without aggregation.

    Raises:
        InputError: an image or mask cannot be read, or an image's features are not finite.
        OSError: the disk has no room for them.
    """
    shapes: list[Shape] = []
    features, augmentation = settings.features, settings.augmentation
    device = next(backbone.network.parameters()).device
    if batch_size is None:
        images_of_224 = 16
        if device.type == "cuda":
            # Of all memory, not of what is free now: the same batches have the same bits.
            memory = torch.cuda.get_device_properties(device).total_memory
            images_of_224 = min(256, memory // 4 // IMAGE_BYTES)
        batch_size = max(1, images_of_224 * 224**2 // features.size**2)
    with watch("masks"), atomic_write(folder / "masks.npy") as aside, aside.open("wb") as file:
        np.save(file, masks(category.test, features, augmentation=augmentation).numpy())
    splits: dict[Split, tuple[Sample, ...]] = {"train": category.train, "test": category.test}
    for split, samples in splits.items():
        images = [sample.image for sample in samples] if split in settings.splits else []
        with watch(split), atomic_write(folder / f"{split}.npy") as aside:
            progress = tqdm(
                total=len(images), desc=f"{category.name} {split}", unit="image", disable=not images
            )
            with progress:
                batches = image_batches(
                    images, features, batch_size, threads, augmentation=augmentation
                )
                found = _write_split(backbone, batches, features, images, aside, progress)
                shapes = found or shapes
    return shapes


def _write_split(
    backbone: Backbone,
    batches: Iterator[Tensor],
    settings: FeatureSettings,
    images: Sequence[Path],
    path: Path,
    progress: "tqdm[Never]",
) -> list[Shape]:
    """Write a split's features; return the shapes of layer maps, if that is what they are."""
    shapes: list[Shape] = []
    device = next(backbone.network.parameters()).device
    array = None
    row = 0

    def passed(batch: Tensor) -> npt.NDArray[np.float32]:
        maps = backbone(batch.to(device))
        if settings.aggregation == "none":
            shapes[:] = [(each.shape[1], each.shape[2], each.shape[3]) for each in maps]
            found: npt.NDArray[np.float32] = pack(maps).cpu().numpy()
        else:
            found = patch_features(maps, settings).cpu().numpy()
        return found

    blocks = Blocks(len(images))
    for patches in (made for batch in batches for made in blocks(passed, batch)):
        if array is None:
            shape = (len(images), *patches.shape[1:])
            array = new_array(path, settings.stored_as, shape)
        array[row : row + len(patches)] = patches
        _check_finite(array[row : row + len(patches)], images[row:], settings)
        row += len(patches)
        progress.update(len(patches))
    if array is None:
        array = new_array(path, settings.stored_as, (0, 0, 0, 0))
    array.flush()
    return shapes


def _check_finite(
    rows: npt.NDArray[np.floating], images: Sequence[Path], settings: FeatureSettings
) -> None:
    for patches, image in zip(rows, images, strict=False):
        if not np.isfinite(patches).all():
            remedy = f"look for damaged weights of {settings.backbone}"
            if settings.stored_as == "float16":
                remedy += ", or set stored_as to float32, as float16 ends at 65,504"
            raise InputError(f"Features of {image} are not finite numbers: {remedy}.")
