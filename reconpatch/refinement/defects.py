"""Defects simulated on normal images, with exact masks (Appendix D.2).

Both kinds fill regions of Perlin noise within the product by something else: ``texture`` by an
image of a texture (Zavrtanik et al., "DRAEM", ICCV 2021), ``structure`` by the image's own patches,
permuted (Yang et al., "MemSeg", 2023).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, label

from reconpatch.datasets.images import changed_within
from reconpatch.refinement.perlin import perlin_noise
from reconpatch.refinement.textures import Textures
from reconpatch.settings.refinement import RefinementSettings
from reconpatch.utils.errors import InputError

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

ATTEMPTS = 50
SEEN = 0.5
"""The least share of a defect whose change is visible."""


class Simulated(NamedTuple):
    """An image ``(S, S, 3)`` with a defect, and where it differs from the normal one."""

    image: Image
    mask: Mask


def simulate(
    image: Image,
    foreground: Mask,
    settings: RefinementSettings,
    textures: Textures,
    rng: np.random.Generator,
) -> Simulated:
    """Return the image with a defect; the mask has exactly the pixels that changed.

    A defect of which less than half is to be seen, as where a patch falls on its like, is drawn
    again. The image is RGB ``(S, S, 3)``, ``foreground`` where its product is, ``(S, S)``.

    Raises:
        InputError: nothing is to be seen of many draws, or a texture cannot be read.
    """
    for _ in range(ATTEMPTS):
        region = _region(foreground, settings, rng)
        if settings.anomaly == "texture":
            filling = textures.draw(len(image), rng)
        else:
            filling = permuted(image, settings.patches, rng)
        opacity = rng.uniform(*settings.opacity)
        blended = np.rint((1 - opacity) * image + opacity * filling).astype(np.uint8)
        change = np.abs(blended.astype(np.float32) - image).max(axis=2)
        seen = gaussian_filter(change, 1)[region] >= settings.visible
        if len(seen) >= settings.smallest and seen.mean() >= SEEN:
            return Simulated(changed_within(region, image, blended), region)
    raise InputError(
        f"No defect of kind {settings.anomaly} shows on a training image after {ATTEMPTS} draws: "
        "choose the other kind in the refinement's anomaly, or lower its visible."
    )


def _region(foreground: Mask, settings: RefinementSettings, rng: np.random.Generator) -> Mask:
    """A few of the peaks of noise, as far as they lie within the product."""
    lowest, highest = settings.noise_cells
    rows, columns = (int(2 ** rng.integers(lowest, highest + 1)) for _ in range(2))
    noise = perlin_noise(len(foreground), (rows, columns), rng)
    peaks, count = label((noise > settings.noise_threshold) & foreground)
    kept = 1 + rng.permutation(count)[: rng.integers(1, settings.regions + 1)]
    return np.isin(peaks, kept)


def permuted(image: Image, patches: tuple[int, int], rng: np.random.Generator) -> Image:
    """Return the image, cut into a grid of patches, with these in another order.

    What a side leaves over after its last whole patch is filled up by reflection.
    """
    rows, columns = patches
    height, width = (-(-side // count) for side, count in zip(image.shape, patches, strict=False))
    padding = (rows * height - len(image), columns * width - image.shape[1])
    whole = np.pad(image, ((0, padding[0]), (0, padding[1]), (0, 0)), mode="reflect")
    grid = whole.reshape(rows, height, columns, width, 3).swapaxes(1, 2)
    cut = rng.permutation(grid.reshape(-1, height, width, 3))
    shuffled = cut.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    return shuffled.reshape(whole.shape)[: len(image), : image.shape[1]]
