"""Perlin's gradient noise, which irregular blobs are cut from."""

import numpy as np
import numpy.typing as npt

Noise = npt.NDArray[np.float64]


def perlin_noise(size: int, cells: tuple[int, int], rng: np.random.Generator) -> Noise:
    """Return noise ``(size, size)``, about -1 to 1, smooth within each of its cells.

    At the corners of a grid of ``cells``, down and across, stand random directions. A pixel has, of
    each corner of its cell, the product of that direction with its offset from the corner; the four
    are blended by ``6 t^5 - 15 t^4 + 10 t^3``. The noise is zero at the corners (Perlin, "Improving
    Noise", SIGGRAPH 2002).
    """
    angles = rng.uniform(0, 2 * np.pi, (cells[0] + 1, cells[1] + 1))
    (row, down), (column, across) = (_within_cells(size, count) for count in cells)

    def slope(lower: int, right: int) -> Noise:
        angle = angles[np.ix_(row + lower, column + right)]
        return np.sin(angle) * (down - lower)[:, None] + np.cos(angle) * (across - right)

    blend_down, blend_across = _fade(down)[:, None], _fade(across)
    above = slope(0, 0) * (1 - blend_across) + slope(0, 1) * blend_across
    below = slope(1, 0) * (1 - blend_across) + slope(1, 1) * blend_across
    # Half the diagonal of a cell is the most that a pixel can be away from all corners.
    noise: Noise = np.sqrt(2) * (above * (1 - blend_down) + below * blend_down)
    return noise


def _within_cells(size: int, count: int) -> tuple[npt.NDArray[np.int64], Noise]:
    """Each pixel's cell along an axis, and how far it lies within it, from 0 to 1."""
    where = (np.arange(size) + 0.5) * count / size
    cell = where.astype(np.int64)
    return cell, where - cell


def _fade(t: Noise) -> Noise:
    return t * t * t * (t * (6 * t - 15) + 10)
