"""Draw one picture of the demo set, without and with its defect, and the mask of the difference."""

import zlib
from typing import NamedTuple

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from reconpatch.datasets.category import GOOD
from reconpatch.datasets.demo import washer, weave
from reconpatch.datasets.demo.light import Picture
from reconpatch.datasets.images import changed_within

SIZE = 256
"""Width and height of every picture, in pixels."""

DRAW = {"washer": washer.draw, "weave": weave.draw}

VISIBLE = 5
"""The smallest change, in grey levels of 255, that counts as a defect."""

SPECK = 12
"""Changed regions with fewer pixels than this are undone."""


class Rendering(NamedTuple):
    """Two pictures, (256, 256, 3) in 8-bit RGB, and the pixels in which they differ, (256, 256)."""

    clean: NDArray[np.uint8]
    defective: NDArray[np.uint8]
    mask: NDArray[np.bool_]


def render(category: str, split: str, defect: str, index: int, seed: int) -> Rendering:
    """Return the demo picture ``<category>/<split>/<defect>/<index>`` of the set with this seed.

    For the defect ``"good"`` both pictures are the same and the mask is empty. The same arguments
    give the same picture.
    """
    place = f"{category}/{split}/{defect}/{index}"

    def develop(shown: str) -> NDArray[np.uint8]:
        # Both pictures get the same random state, and so show the same scene.
        scene, flaw = np.random.default_rng([seed, zlib.crc32(place.encode())]).spawn(2)
        return _developed(DRAW[category](SIZE, scene, flaw, shown), scene)

    clean = develop(GOOD)
    if defect == GOOD:
        return Rendering(clean, clean, np.zeros((SIZE, SIZE), dtype=bool))
    return _confined(clean, develop(defect))


def _developed(picture: Picture, scene: np.random.Generator) -> NDArray[np.uint8]:
    """Return the picture as a camera takes it: with a little blur and noise, and display gamma."""
    blurred = scipy.ndimage.gaussian_filter(picture, (0.45, 0.45, 0), truncate=3)
    levels = 255 * np.clip(blurred, 0, 1) ** (1 / 1.8)
    levels += 1.1 * scene.standard_normal((SIZE, SIZE, 1), dtype=np.float32)
    pixels: NDArray[np.uint8] = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return pixels


def _confined(clean: NDArray[np.uint8], defective: NDArray[np.uint8]) -> Rendering:
    """Return both pictures with the change limited to solid regions, in which every pixel differs.

    The plain difference would have holes where a defect has its background's colour, and frayed
    edges where it fades out.
    """
    change = np.abs(defective.astype(int) - clean).max(axis=2)
    region = scipy.ndimage.binary_closing(change >= VISIBLE, iterations=2)
    region = scipy.ndimage.binary_fill_holes(region)
    labels, count = scipy.ndimage.label(region)
    sizes = scipy.ndimage.sum_labels(region, labels, index=np.arange(count + 1))
    region = (sizes >= SPECK)[labels]
    return Rendering(clean, changed_within(region, clean, defective), region)
