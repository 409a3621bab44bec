"""The simulated images of a training set: made once, and drawn from in every epoch."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.refinement.defects import simulate
from reconpatch.refinement.foreground import foreground
from reconpatch.refinement.textures import Textures
from reconpatch.settings.detection import MapSettings
from reconpatch.settings.refinement import RefinementSettings
from reconpatch.utils.files import atomic_write
from reconpatch.utils.memory_maps import new_array


@dataclass(frozen=True)
class Pool:
    """Each of N training images in V versions: version 0 as it is, the others with a defect.

    Attributes:
        images: RGB, ``(N, V, S, S, 3)``, possibly memory-mapped.
        masks: where a version differs from version 0, ``(N, V, S, S)``.
        maps: the models' mean standardised score maps, ``(N, V, S, S)``.
    """

    images: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.bool_]
    maps: npt.NDArray[np.float32]

    def batch(
        self, rows: npt.NDArray[np.int64], versions: npt.NDArray[np.int64]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return images ``(B, 3, S, S)`` as uint8, their maps and their masks ``(B, S, S)``."""
        return (
            torch.from_numpy(self.images[rows, versions]).permute(0, 3, 1, 2),
            torch.from_numpy(self.maps[rows, versions]),
            torch.from_numpy(self.masks[rows, versions]).float(),
        )


def write_pool(
    images: Iterable[Tensor],
    count: int,
    size: int,
    settings: RefinementSettings,
    textures: Textures,
    seed: int,
    folder: Path,
    description: str,
) -> None:
    """Simulate ``settings.pool`` defects on each image, to ``images.npy`` and ``masks.npy``.

    They take ``4 N (pool + 1) S^2`` bytes on disk and one image's share of that in memory; N is the
    ``count`` of the images and S their ``size``. These come a batch at a time, uint8
    ``(B, 3, S, S)``. ``seed`` decides all draws, together with an image's place and its version.
    """
    shape = (count, settings.pool + 1, size, size)
    with (
        atomic_write(folder / "images.npy") as image_file,
        atomic_write(folder / "masks.npy") as mask_file,
    ):
        pixels = new_array(image_file, np.uint8, (*shape, 3))
        masks = new_array(mask_file, np.bool_, shape)
        each = (image for batch in images for image in batch)
        for row, tensor in enumerate(tqdm(each, description, count, unit="image", delay=10)):
            normal = tensor.permute(1, 2, 0).numpy()
            product = foreground(normal)
            pixels[row, 0] = normal
            for version in range(1, settings.pool + 1):
                random = np.random.default_rng([seed, row, version])
                pixels[row, version], masks[row, version] = simulate(
                    normal, product, settings, textures, random
                )
        pixels.flush()
        masks.flush()


def read_pool(
    folder: Path, scores: tuple[npt.NDArray[np.float32], ...], settings: MapSettings
) -> Pool:
    """Return the pool that ``write_pool`` left in a folder, memory-mapped, with its score maps.

    Each map is made once, though it is drawn some hundred times; ``maps.npy`` takes
    ``4 N (pool + 1) S^2`` bytes.

    Args:
        folder: where it lies.
        scores: for each model the standardised patch scores ``(N, V, h, w)``.
        settings: how maps are made of them.
    """
    images, masks = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("images", "masks"))
    with atomic_write(folder / "maps.npy") as aside:
        maps = new_array(aside, np.float32, masks.shape)
        for row in range(len(maps)):
            of_models = [anomaly_maps(each[row], masks.shape[2], settings) for each in scores]
            maps[row] = np.mean(of_models, axis=0)
        maps.flush()
    return Pool(images, masks, np.load(folder / "maps.npy", mmap_mode="r"))
