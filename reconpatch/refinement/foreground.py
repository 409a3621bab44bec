"""Which part of an image shows the product: defects are simulated there alone."""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_closing, binary_fill_holes, binary_opening, gaussian_filter
from skimage.filters import threshold_otsu

CLEAR = 0.95
"""The share of an image's corners on one side of the threshold that makes that side background."""

SMALL = 0.05
"""The least share of the image that a product fills."""


def foreground(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return where an image shows its product, ``(S, S)``; all of it where it shows no background.

    MemSeg binarises the image. Otsu's threshold parts its grey levels, and the side that the four
    corners lie on is the background: products are photographed before a plain one, dark or bright.
    Where the corners are on both sides, the product fills the image, as textures do. Holes within
    the product belong to it. The image is RGB, ``(S, S, 3)``.
    """
    grey = gaussian_filter(image.mean(axis=2), 1)
    everywhere = np.ones(grey.shape, dtype=np.bool_)
    if grey.min() == grey.max():
        return everywhere
    bright = grey > threshold_otsu(grey)
    edge = max(1, len(grey) // 16)
    ends = np.r_[:edge, len(grey) - edge : len(grey)]
    corners = bright[np.ix_(ends, ends)].mean()
    product = ~bright if corners > 0.5 else bright
    step = max(1, len(grey) // 75)
    product = binary_fill_holes(binary_closing(product, iterations=step))
    product = binary_opening(product, iterations=step)
    if max(corners, 1 - corners) < CLEAR or product.mean() < SMALL:
        return everywhere
    found: npt.NDArray[np.bool_] = product
    return found
