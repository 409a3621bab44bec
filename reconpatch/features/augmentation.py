"""A changed environment, simulated: the camera turned or moved, other light, a lens out of focus.

Section 4.2 ("real-world scenarios") and Appendix C.1 of the paper, Tables 4 and S5.
"""

import math
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import Literal

import numpy as np
from PIL.Image import Image, fromarray, merge
from PIL.ImageEnhance import Brightness, Contrast
from PIL.ImageFilter import GaussianBlur
from scipy.ndimage import affine_transform

from reconpatch.settings.features import AugmentationSettings


@dataclass(frozen=True)
class Augmentation:
    """What befalls one image; with the default values, nothing.

    Attributes:
        angle: Rotation about the image's centre, in degrees counter-clockwise.
        shift_x: Shift to the right after the rotation, as a share of the image's width.
        shift_y: Shift downwards after the rotation, as a share of the image's height.
        brightness: Factor of all values.
        contrast: Factor of all values' difference from the image's mean grey.
        blur_sigma: Deviation of the Gaussian, in pixels.
        fill: What comes from beyond the edge: the image reflected, its edge pixels repeated
            (``reflect`` in SciPy's words), or black, which in a mask is normal.
    """

    angle: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    brightness: float = 1.0
    contrast: float = 1.0
    blur_sigma: float = 0.0
    fill: Literal["reflect", "black"] = "reflect"


def draw(settings: AugmentationSettings, image_name: str) -> Augmentation:
    """Draw what befalls the image of that name, evenly within the settings' ranges.

    The seed and the name decide it, whatever other images there are; another range only stretches
    what is drawn for it, and a range of zero draws the neutral value itself.
    """
    digest = sha256(f"{settings.seed}/{image_name}".encode()).digest()
    # Python's generator, because it promises the same numbers in all versions, and NumPy's not.
    random = Random(int.from_bytes(digest)).random
    rotated, moved, lit, contrasted, blurred = (random() < settings.probability for _ in range(5))
    angle, x, y, brightness, contrast = (2 * random() - 1 for _ in range(5))
    return Augmentation(
        angle=rotated * settings.rotation * angle,
        shift_x=moved * settings.translation * x,
        shift_y=moved * settings.translation * y,
        brightness=1 + lit * settings.brightness * brightness,
        contrast=1 + contrasted * settings.contrast * contrast,
        blur_sigma=blurred * settings.blur_sigma * random(),
        fill=settings.fill,
    )


def apply(augmentation: Augmentation, image: Image, *, pixel_aspect: float = 1.0) -> Image:
    """Return the image (8-bit RGB or L) rotated and shifted, then lit, then blurred.

    Give it the resized image before its middle is cropped, so that real pixels move into the
    crop's corners as far as there are some. Rotation and shift are one bilinear resampling. The
    neutral augmentation returns the same pixels, bit for bit.

    ``pixel_aspect`` is a pixel's width over its height, where the image was squeezed: what turns is
    the camera, before the squeeze.
    """
    moved = _move(augmentation, image, order=1, pixel_aspect=pixel_aspect)
    lit = Brightness(moved).enhance(augmentation.brightness)
    lit = Contrast(lit).enhance(augmentation.contrast)
    return lit.filter(GaussianBlur(augmentation.blur_sigma))


def apply_to_mask(augmentation: Augmentation, mask: Image, *, pixel_aspect: float = 1.0) -> Image:
    """Return the mask (8-bit L) moved as :func:`apply` moves its image, by nearest pixels.

    Beyond the edge it goes on as its image does: reflected with it, or normal where that is black.
    """
    return _move(augmentation, mask, order=0, pixel_aspect=pixel_aspect)


def _move(augmentation: Augmentation, image: Image, order: int, pixel_aspect: float) -> Image:
    """Rotate about the centre and shift, interpolating with splines of that order."""
    angle = math.radians(augmentation.angle)
    cosine, sine = math.cos(angle), math.sin(angle)
    # In rows and columns, from a pixel's new place back to its old one.
    back = np.array([[cosine, sine * pixel_aspect], [-sine / pixel_aspect, cosine]])
    size = np.array([image.height, image.width])
    centre, shift = (size - 1) / 2, size * (augmentation.shift_y, augmentation.shift_x)
    offset = centre - back @ (centre + shift)
    mode = "reflect" if augmentation.fill == "reflect" else "grid-constant"
    bands = [
        fromarray(affine_transform(np.asarray(band), back, offset, order=order, mode=mode))
        for band in image.split()
    ]
    return merge(image.mode, bands)
