"""A category's images, once through the backbone, to patch features on disk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Never

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from reconpatch.datasets import Category, Sample
from reconpatch.features.aggregation import patch_features
from reconpatch.features.backbones import Backbone, load_backbone
from reconpatch.features.images import image_batches, masks
from reconpatch.features.store import FeatureStore, Split
from reconpatch.settings import ExtractionSettings, FeatureSettings
from reconpatch.utils.files import atomic_write, write_json
from reconpatch.utils.fingerprint import fingerprint, source_hash
from reconpatch.utils.halving import Blocks
from reconpatch.utils.provenance import Stopwatch, provenance


def extract(
    category: Category,
    settings: ExtractionSettings,
    folder: Path,
    *,
    weights_folder: Path,
    device: torch.device,
    threads: int,
    batch_size: int | None = None,
) -> FeatureStore:
    """Compute the patch features of all images of a category and write them to ``folder``.

    ``features.json`` is written last: where it stands, the folder is complete. Memory is that of
    three batches of images and one of feature maps. By default a batch has the pixels of
    16 images of 224 px (on a GPU 64), so that memory does not grow with the image's size. The
    features themselves go straight to disk, ``4 * h * w * D`` bytes an image, half of that as
    float16. A split that the settings leave out has no images there.

    Raises:
        InputError: an image or mask cannot be read, or the backbone or its weights are not to be
            had.
    """
    if batch_size is None:
        images_of_224 = 64 if device.type == "cuda" else 16
        batch_size = max(1, images_of_224 * 224**2 // settings.features.crop**2)
    features, augmentation = settings.features, settings.augmentation
    watch = Stopwatch()
    with watch("backbone"):
        backbone = load_backbone(features.backbone, features.layers, weights_folder, device)
    category.write(folder / "category.json")
    with watch("masks"), atomic_write(folder / "masks.npy") as aside, aside.open("wb") as file:
        np.save(file, masks(category.test, features, augmentation=augmentation).numpy())
    splits: dict[Split, tuple[Sample, ...]] = {"train": category.train, "test": category.test}
    for split, samples in splits.items():
        images = [sample.image for sample in samples] if split in settings.splits else []
        with watch(split), atomic_write(folder / f"{split}.npy") as aside:
            progress = tqdm(total=len(images), desc=f"{category.name} {split}", unit="image")
            with progress:
                batches = image_batches(
                    images, features, batch_size, threads, augmentation=augmentation
                )
                _extract_split(backbone, batches, features, len(images), aside, progress)
    write_json(
        folder / "features.json",
        {
            "dataset": category.dataset,
            "category": category.name,
            "data_sha256": category.sha256,
            "settings": settings.model_dump(),
            "fingerprint": fingerprint(
                category.sha256, settings.key, backbone.weights.sha256, source_hash("features")
            ),
            "weights": {"source": backbone.weights.source, "sha256": backbone.weights.sha256},
            **watch.record(),
            **provenance(device),
        },
    )
    return FeatureStore(folder)


def _extract_split(
    backbone: Backbone,
    batches: Iterator[Tensor],
    settings: FeatureSettings,
    count: int,
    path: Path,
    progress: "tqdm[Never]",
) -> None:
    device = next(backbone.network.parameters()).device
    array = None
    row = 0

    def passed(images: Tensor) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32]
        found = patch_features(backbone(images.to(device)), settings).cpu().numpy()
        return found

    blocks = Blocks(count)
    for patches in (made for batch in batches for made in blocks(passed, batch)):
        if array is None:
            shape = (count, *patches.shape[1:])
            array = np.lib.format.open_memmap(path, "w+", dtype=settings.stored_as, shape=shape)
        array[row : row + len(patches)] = patches
        row += len(patches)
        progress.update(len(patches))
    if array is None:
        array = np.lib.format.open_memmap(path, "w+", dtype=settings.stored_as, shape=(0, 0, 0, 0))
    array.flush()
