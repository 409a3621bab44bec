"""The demo's object: a turned metal washer with a tongue, on a dark mat.

Every picture differs in the place, the turn and the exact measures of the washer, in the marks of
the lathe, the grain of the mat and the light. A defect is a chip broken out of the rim, a scratch
across the face, or a stain.
"""

import math

import numpy as np
import scipy.ndimage
from numpy.random import Generator

from reconpatch.datasets.demo.light import (
    Picture,
    Plane,
    coverage,
    facing,
    grid,
    mix,
    rgb,
    rounded,
    smooth_noise,
    turned,
)

OUTER, INNER = 96.0, 46.0
"""The radii of the washer, in pixels."""


def draw(size: int, scene: Generator, flaw: Generator, defect: str) -> Picture:
    """Return the picture that ``scene`` decides, with the defect that ``flaw`` decides."""
    x, y = grid(size)
    x, y = x - scene.uniform(-5, 5), y - scene.uniform(-5, 5)
    turn = scene.uniform(0, 2 * math.pi)
    outer, inner = OUTER * scene.uniform(0.99, 1.01), INNER * scene.uniform(0.99, 1.01)
    light = (scene.normal(-0.55, 0.04), scene.normal(-0.6, 0.04), 1.0)
    exposure = scene.normal(1, 0.025)
    lathe = scipy.ndimage.gaussian_filter1d(scene.standard_normal(4 * size, dtype=np.float32), 1.1)
    grain = smooth_noise(scene, size, 0.8)
    cloud = smooth_noise(scene, size, 28)
    tarnish = smooth_noise(scene, size, 9)
    speck = smooth_noise(scene, size, 0.6)

    # The outline: a ring and, on its inside, a tongue.
    radius = np.hypot(x, y)
    tangent, normal = turned(x, y, turn)
    ring = np.maximum(radius - outer, inner - radius)
    tongue = np.maximum(np.abs(tangent) - 11, np.abs(normal - inner) - 11)
    outline = _smooth_min(ring, tongue, 5)

    groove = lathe[np.clip(radius * 4, 0, lathe.size - 1).astype(int)]
    relief = 0.12 * groove + 0.05 * speck
    bare = np.zeros_like(x)
    if defect == "chip":
        bite = _bite(flaw, x, y, outer)
        outline = -_smooth_min(-outline, bite, 2)
        crumbled = 0.5 * smooth_noise(flaw, size, 1.6) - 0.3 * np.clip(9 - bite, 0, 9)
        relief += coverage(bite - 9, 6) * crumbled
    if defect == "scratch":
        bare = _scratch(flaw, x, y, inner, outer)
        relief -= 1.5 * bare
    metal = coverage(outline)
    lit = facing(3.2 * rounded(-outline / 5) + relief, light)

    # A turned face reflects the light in two opposite fans.
    away, _ = turned(x, y, math.atan2(-light[1], light[0]))
    fan = rounded((away / np.maximum(radius, 1)) ** 2)
    brightness = 0.23 + 0.22 * lit + 0.32 * fan + 0.012 * tarnish + 0.2 * bare
    brightness += 0.35 * np.clip(lit, 0, 1) ** 24
    steel = brightness[..., None] * rgb(0.97, 0.98, 1.0)
    if defect == "stain":
        steel = _stained(flaw, steel, x, y, inner, outer)

    mat = (0.13 + 0.012 * cloud + 0.016 * grain)[..., None] * rgb(0.92, 1.0, 1.12)
    shadow = scipy.ndimage.gaussian_filter(np.roll(metal, (6, 5), axis=(0, 1)), 5, truncate=3)
    mat *= (1 - 0.7 * shadow)[..., None]
    return exposure * mix(mat, steel, metal)


def _smooth_min(a: Plane, b: Plane, radius: float) -> Plane:
    """Return the smaller of two distances, with a fillet of the given radius where they meet."""
    near = np.clip(0.5 + 0.5 * (b - a) / radius, 0, 1)
    return b + (a - b) * near - radius * near * (1 - near)


def _on_face(flaw: Generator, inner: float, outer: float) -> tuple[float, float]:
    """Return a random point that is well inside the face."""
    radius, angle = flaw.uniform(inner + 14, outer - 14), flaw.uniform(0, 2 * math.pi)
    return radius * math.cos(angle), radius * math.sin(angle)


def _bite(flaw: Generator, x: Plane, y: Plane, outer: float) -> Plane:
    """Return the distance to what is broken out of the rim."""
    along, outward = turned(x, y, flaw.uniform(0, 2 * math.pi))
    depth, flatness = flaw.uniform(9, 15), flaw.uniform(1.1, 1.7)
    distance = np.hypot(along / flatness, outward - outer - 3) - depth
    ragged = 1.3 * smooth_noise(flaw, len(x), 3) + 0.5 * smooth_noise(flaw, len(x), 1.2)
    bite: Plane = distance + ragged
    return bite


def _scratch(flaw: Generator, x: Plane, y: Plane, inner: float, outer: float) -> Plane:
    """Return the depth, 0 to 1, of a slightly bent groove that tapers off at both ends."""
    px, py = _on_face(flaw, inner, outer)
    along, off = turned(x - px, y - py, flaw.uniform(0, 2 * math.pi))
    t = np.clip(along / flaw.uniform(17, 30), -1, 1)
    bend = flaw.uniform(-5, 5)
    width = flaw.uniform(1.0, 1.5) * np.sqrt(1 - t * t) + 0.01
    depth: Plane = np.exp(-(((off - bend * t * t) / width) ** 2)) * (np.abs(t) < 1)
    return depth


def _stained(
    flaw: Generator, steel: Picture, x: Plane, y: Plane, inner: float, outer: float
) -> Picture:
    """Return the steel with a dried drop on it: brownish, its rim darker than its middle."""
    size = len(x)
    px, py = _on_face(flaw, inner, outer)
    distance = np.hypot(x - px, y - py) - flaw.uniform(10, 17)
    distance += 3.5 * smooth_noise(flaw, size, 7) + 0.7 * smooth_noise(flaw, size, 2)
    film = 0.38 + 0.05 * smooth_noise(flaw, size, 3) + 0.35 * np.exp(-((distance / 2.2) ** 2))
    return mix(steel, steel * rgb(0.62, 0.45, 0.28), np.clip(film, 0, 1) * coverage(distance, 3))
