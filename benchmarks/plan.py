"""Sizes of the measurements: the full ones, and smaller ones for a quick look."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Sizes of the measurements.

    Attributes:
        name: the plan's name in the report.
        train_images: how many training images the end-to-end runs read; None for all.
        test_images: how many test images they read; None for all.
        patches: rows of the coreset's matrix.
        steps: how many training steps are timed.
        patch_counts: rows of the matrices over which the coreset's time is fitted.
        share_patches: rows of the matrix from which growing shares are selected.
        goals: whether the ratios are compared with their goals, which are for the full sizes.
    """

    name: str
    train_images: int | None
    test_images: int | None
    patches: int
    steps: int
    patch_counts: tuple[int, ...]
    share_patches: int
    goals: bool


# 163,856 patches are those of MVTec AD's bottle at 224 pixels: 209 images of 28 x 28.
FULL = Plan(
    name="full",
    train_images=None,
    test_images=None,
    patches=163_856,
    steps=30,
    patch_counts=(10_000, 30_000, 100_000, 300_000, 1_000_000),
    share_patches=30_000,
    goals=True,
)
QUICK = Plan(
    name="quick",
    train_images=40,
    test_images=24,
    patches=31_360,
    steps=10,
    patch_counts=(3_000, 10_000, 30_000, 100_000),
    share_patches=10_000,
    goals=False,
)
SHARES = (0.01, 0.02, 0.05, 0.1, 0.25)
