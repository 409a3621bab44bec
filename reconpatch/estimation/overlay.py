"""An image beside its anomaly map, to be looked at."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageColor
from scipy.ndimage import binary_erosion

from reconpatch.datasets.images import open_image
from reconpatch.features.images import image_batches
from reconpatch.reporting.drawings.maps import over_grey
from reconpatch.reporting.drawings.style import GREEN
from reconpatch.settings.features import FeatureSettings

SIDE = 448
"""The longer side of an image in an overlay, in pixels, at most."""

LINE = 2
"""Width of the outline, in pixels."""


def overlay(
    path: Path, anomaly_map: npt.NDArray[np.float32], threshold: float, features: FeatureSettings
) -> Image.Image:
    """Return the image at ``path``, and at its right the map ``(S, S)`` over it in grey.

    The map is coloured from zero to twice the threshold; what is above the threshold is outlined.
    An image that was squeezed whole has its own shape; of a cropped one, what was seen is shown.

    Raises:
        InputError: the image cannot be read.
    """
    if features.crop is None:
        image = open_image(path)
        image.thumbnail((SIDE, SIDE))
    else:
        (seen,) = image_batches([path], features, 1, 1)
        image = Image.fromarray(seen[0].permute(1, 2, 0).numpy())
    resized = Image.fromarray(anomaly_map).resize(image.size, Image.Resampling.BILINEAR)
    scores, pixels = np.asarray(resized), np.asarray(image)
    # Training images that are all the same have a threshold of zero.
    coloured = over_grey(pixels, scores, threshold or float(np.finfo(np.float32).eps))
    right = np.rint(255 * coloured).astype(np.uint8)
    above = scores > threshold
    right[above & ~binary_erosion(above, iterations=LINE)] = ImageColor.getrgb(GREEN)
    return Image.fromarray(np.hstack([pixels, right]))
