"""The demo's texture: a coarse plain weave of two yarns.

Every picture differs in the phase and a slight turn of the weave, in the shade and thickness of
each thread, in the fibres and the light. A defect is a blob of glue, a cut through some threads,
or a misweave: a thread that floats over where it should pass under.
"""

import math

import numpy as np
from numpy.random import Generator

from reconpatch.datasets.demo.light import (
    Picture,
    Plane,
    coverage,
    facing,
    grid,
    mix,
    rgb,
    smooth_noise,
    turned,
)

PITCH = 12.5
"""From one thread to the next, in pixels."""

THREADS = 64
"""More than lie side by side in a picture, so that each has its own shade."""


def draw(size: int, scene: Generator, flaw: Generator, defect: str) -> Picture:
    """Return the picture that ``scene`` decides, with the defect that ``flaw`` decides."""
    x, y = grid(size)
    turned_x, turned_y = turned(x, y, scene.normal(0, 0.02))
    # In threads rather than pixels; the middle of the picture is about half of all threads in.
    u = (turned_x + 1.2 * smooth_noise(scene, size, 40)) / PITCH + scene.uniform(0, 2)
    v = (turned_y + 1.2 * smooth_noise(scene, size, 40)) / PITCH + scene.uniform(0, 2)
    u, v = u + THREADS // 2, v + THREADS // 2
    column, row = np.floor(u), np.floor(v)
    warp_shade, weft_shade = scene.normal(1, 0.028, (2, THREADS)).astype(np.float32)
    warp_thickness, weft_thickness = scene.normal(1, 0.025, (2, THREADS)).astype(np.float32)
    warp_slub, weft_slub = smooth_noise(scene, size, 2, 12), smooth_noise(scene, size, 12, 2)
    warp_fibre, weft_fibre = (
        smooth_noise(scene, size, 0.7, 2.2),
        smooth_noise(scene, size, 2.2, 0.7),
    )
    light = (scene.normal(-0.5, 0.03), scene.normal(-0.7, 0.03), 1.0)
    exposure = scene.normal(1.12, 0.02)

    # Each thread rises over one neighbour and dips under the next.
    warp_rise = np.cos(math.pi * (v + column - 0.5))
    weft_rise = -np.cos(math.pi * (u + row - 0.5))
    if defect == "misweave":
        warp_rise, weft_rise = _floated(flaw, warp_rise, weft_rise, u, v)
    i, j = column.astype(int), row.astype(int)
    warp = _yarn(u - column, warp_thickness[i] + 0.03 * warp_slub) + 1.5 * warp_rise
    weft = _yarn(v - row, weft_thickness[j] + 0.03 * weft_slub) + 1.5 * weft_rise
    warp += 0.16 * warp_fibre
    weft += 0.16 * weft_fibre
    over = coverage(weft - warp, 1.4)
    height = weft + over * (warp - weft)

    twist = 0.035 * np.sin(2 * math.pi * (2.2 * u + 1.1 * v) + 0.6 * warp_fibre)
    linen = (warp_shade[i] + twist)[..., None] * rgb(0.80, 0.74, 0.62)
    indigo = (weft_shade[j] - twist)[..., None] * rgb(0.42, 0.50, 0.60)
    # Light hardly reaches the ground between the threads.
    lit = 0.16 + 0.84 * np.clip((height + 1.0) / 4.2, 0, 1)
    lit *= 0.42 + 0.58 * facing(height, light)
    cloth: Picture = mix(indigo, linen, over) * lit[..., None]
    if defect == "cut":
        cloth = _cut(flaw, cloth, x, y)
    if defect == "blob":
        cloth = _glued(flaw, cloth, height, x, y, light)
    return exposure * cloth


def _yarn(across: Plane, thickness: Plane) -> Plane:
    """Return the height of a round yarn at ``across``, which runs from 0 to 1 over the pitch."""
    return 3 * np.sqrt(np.clip(thickness**2 - (2 * across - 1) ** 2, 0, 1)) - 1


def _spot(flaw: Generator, x: Plane, y: Plane) -> tuple[Plane, Plane]:
    """Return x and y counted from a random point that is not too near the border."""
    reach = 0.32 * len(x)
    return x - flaw.uniform(-reach, reach), y - flaw.uniform(-reach, reach)


def _floated(
    flaw: Generator, warp_rise: Plane, weft_rise: Plane, u: Plane, v: Plane
) -> tuple[Plane, Plane]:
    """Return how warp and weft rise when one weft thread stays above all warps for a stretch."""
    row = THREADS // 2 + int(flaw.integers(-6, 7))
    # The stretch begins and ends on warps that the thread passes over anyway.
    start = THREADS // 2 + int(flaw.integers(-8, 3))
    start += (start + row + 1) % 2
    end = start + 2 * int(flaw.integers(2, 4))
    stretch = (np.abs(v - row - 0.5) < 1) & (u > start + 0.5) & (u < end + 0.5)
    on_thread = stretch & (np.floor(v) == row)
    hidden = stretch & (u > start + 1) & (u < end) & ((np.floor(u) - start) % 2 == 1)
    return np.where(hidden, -1, warp_rise), np.where(on_thread, 1, weft_rise)


def _cut(flaw: Generator, cloth: Picture, x: Plane, y: Plane) -> Picture:
    """Return the cloth with a slit whose threads have drawn back, and their frayed ends."""
    along, off = turned(*_spot(flaw, x, y), flaw.uniform(0, math.pi))
    half = flaw.uniform(16, 26)
    t = np.clip(along / half, -1, 1)
    opening = flaw.uniform(3.0, 4.5) * np.sqrt(1 - t * t)
    distance = np.hypot(off + 1.2 * np.sin(3 * t), along - half * t) - opening
    distance += 0.8 * smooth_noise(flaw, len(x), 1.0) + 0.7 * smooth_noise(flaw, len(x), 4)
    frayed = mix(cloth, 1.2 * cloth + 0.03, coverage(distance - 2, 2.5))
    return mix(frayed, rgb(0.075, 0.07, 0.065), 0.93 * coverage(distance, 1.8))


def _glued(
    flaw: Generator,
    cloth: Picture,
    height: Plane,
    x: Plane,
    y: Plane,
    light: tuple[float, float, float],
) -> Picture:
    """Return the cloth with a drop of clear glue: wet, so darker, with a highlight on its dome."""
    x, y = _spot(flaw, x, y)
    reach = flaw.uniform(9, 15)
    distance = (
        np.hypot(x, y * flaw.uniform(0.8, 1.25)) - reach + 2.5 * smooth_noise(flaw, len(x), 7)
    )
    dome = 0.45 * np.sqrt(np.clip(-distance, 0, None) * reach) + 0.25 * height
    gleam = 0.5 * np.clip(facing(dome, light), 0, 1) ** 40
    wet = cloth * rgb(0.72, 0.66, 0.55) + 0.02 + gleam[..., None] * rgb(1, 1, 0.95)
    return mix(cloth, wet, 0.9 * coverage(distance, 2))
