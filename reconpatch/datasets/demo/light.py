"""Noise, edges and light: what both demo categories are drawn with.

Pictures are drawn without supersampling: an edge is a signed distance in pixels, turned into the
share of a pixel that it covers, and relief is a height in pixels, lit by its slopes.
"""

import math
from typing import TypeAlias

import numpy as np
import scipy.fft
from numpy.random import Generator
from numpy.typing import NDArray

Plane: TypeAlias = NDArray[np.floating]
"""One value a pixel, (size, size)."""

Picture: TypeAlias = NDArray[np.floating]
"""Linear RGB in about 0 to 1, (size, size, 3), or one colour, (3,)."""


def grid(size: int) -> tuple[Plane, Plane]:
    """Return the x and y of every pixel, counted from the middle of the picture."""
    axis = np.arange(size, dtype=np.float32) - (size - 1) / 2
    x, y = np.meshgrid(axis, axis)
    return x, y


def turned(x: Plane, y: Plane, angle: float) -> tuple[Plane, Plane]:
    """Return x and y in axes that are turned by ``angle`` radians."""
    cos, sin = math.cos(angle), math.sin(angle)
    return cos * x - sin * y, sin * x + cos * y


def smooth_noise(rng: Generator, size: int, across: float, down: float | None = None) -> Plane:
    """Return Gaussian noise of unit variance, blurred by ``across`` and ``down`` pixels.

    The blur is applied to the spectrum, so that its cost does not grow with its width.
    """
    down = across if down is None else down
    pass_x = np.exp(-2 * (math.pi * across * scipy.fft.rfftfreq(size)) ** 2)
    pass_y = np.exp(-2 * (math.pi * down * scipy.fft.fftfreq(size)) ** 2)
    spectrum = scipy.fft.rfft2(rng.standard_normal((size, size), dtype=np.float32))
    spectrum *= np.outer(pass_y, pass_x).astype(np.float32)
    noise: Plane = scipy.fft.irfft2(spectrum, s=(size, size))
    noise -= noise.mean()
    noise /= noise.std()
    return noise


def coverage(distance: Plane, softness: float = 1.0) -> Plane:
    """Return how much of each pixel lies inside an edge: 1 at negative distance, 0 at positive."""
    return (0.5 - distance / softness).clip(0, 1)


def rounded(t: Plane) -> Plane:
    """Return a smooth step from 0 at t = 0 to 1 at t = 1."""
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


def mix(below: Picture, above: Picture, alpha: Plane) -> Picture:
    """Return ``above`` laid over ``below`` with the given opacity."""
    return below + alpha[..., None] * (above - below)


def facing(height: Plane, light: tuple[float, float, float]) -> Plane:
    """Return how squarely each point of a relief faces the light, from -1 to 1.

    Args:
        height: The relief, in pixels towards the viewer.
        light: The direction towards the light: right, down, and towards the viewer.
    """
    down, right = np.gradient(height)
    x, y, z = (part / math.hypot(*light) for part in light)
    cosine: Plane = (z - x * right - y * down) / np.sqrt(1 + right * right + down * down)
    return cosine


def rgb(red: float, green: float, blue: float) -> Picture:
    """Return one colour, (3,)."""
    return np.array([red, green, blue], dtype=np.float32)
