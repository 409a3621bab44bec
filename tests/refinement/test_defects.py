import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import binary_erosion

from reconpatch.datasets.demo.pictures import render
from reconpatch.refinement.defects import permuted, simulate
from reconpatch.refinement.foreground import foreground
from reconpatch.refinement.perlin import perlin_noise
from reconpatch.refinement.textures import SHIPPED, find_textures
from reconpatch.settings.refinement import RefinementSettings
from reconpatch.utils.errors import InputError

kinds = st.sampled_from(["structure", "texture"])
categories = st.sampled_from(["washer", "weave"])


def picture(category: str, index: int = 0) -> np.ndarray:
    return render(category, "train", "good", index, seed=0).clean


@settings(deadline=None, max_examples=25)
@given(kind=kinds, category=categories, seed=st.integers(0, 2**32 - 1))
def test_a_mask_is_where_the_image_changed_not_empty_and_on_the_product(
    kind: str, category: str, seed: int
) -> None:
    normal = picture(category)
    before = normal.copy()
    product = foreground(normal)
    chosen = RefinementSettings(anomaly=kind)
    made, again = (
        simulate(normal, product, chosen, SHIPPED, np.random.default_rng(seed)) for _ in range(2)
    )
    np.testing.assert_array_equal(made.mask, (made.image != normal).any(axis=2))
    assert made.mask.sum() >= chosen.smallest
    assert not (made.mask & ~product).any()
    np.testing.assert_array_equal(made.image, again.image)
    np.testing.assert_array_equal(normal, before)


@pytest.mark.parametrize("kind", ["structure", "texture"])
def test_a_defect_is_made_of_the_image_or_of_a_texture(kind: str) -> None:
    """Opaque, its pixels are the image's own, or grey as the packaged textures are."""
    normal = picture("washer")
    chosen = RefinementSettings(anomaly=kind, opacity=(1, 1))
    mine = {tuple(pixel) for pixel in normal.reshape(-1, 3)}
    for seed in range(5):
        rng = np.random.default_rng(seed)
        made = simulate(normal, np.ones(normal.shape[:2], np.bool_), chosen, SHIPPED, rng)
        pixels = made.image[made.mask]
        own = np.mean([tuple(pixel) in mine for pixel in pixels])
        # Those that were equal by chance are one level off.
        if kind == "structure":
            assert own > 0.95
        else:
            assert np.mean(np.ptp(pixels.astype(int), axis=1) <= 1) > 0.99
            assert own < 0.9


def test_nothing_to_be_seen_is_refused() -> None:
    blank = np.full((64, 64, 3), 200, np.uint8)
    everywhere = np.ones((64, 64), np.bool_)
    with pytest.raises(InputError, match="structure shows on a training image"):
        simulate(blank, everywhere, RefinementSettings(), SHIPPED, rng := np.random.default_rng(0))
    made = simulate(blank, everywhere, RefinementSettings(anomaly="texture"), SHIPPED, rng)
    assert made.mask.any()


def test_permuting_keeps_patches_whole_and_loses_none() -> None:
    image = np.random.default_rng(0).integers(256, size=(24, 32, 3), dtype=np.uint8)
    shuffled = permuted(image, (3, 4), np.random.default_rng(1))

    def patches(of: np.ndarray) -> list[bytes]:
        return [
            of[8 * r : 8 * r + 8, 8 * c : 8 * c + 8].tobytes() for r in range(3) for c in range(4)
        ]

    assert patches(shuffled) != patches(image)
    assert sorted(patches(shuffled)) == sorted(patches(image))
    # Where patches do not divide it, the image keeps its size.
    assert permuted(image, (5, 7), np.random.default_rng(1)).shape == image.shape


def test_the_foreground_is_the_product_or_everything() -> None:
    rows, columns = np.mgrid[:96, :96]
    disc = np.hypot(rows - 48, columns - 48) < 30
    hole = np.hypot(rows - 48, columns - 48) < 9
    for dark, bright in ((20, 220), (220, 20)):
        image = np.where(disc & ~hole, bright, dark).astype(np.uint8)
        found = foreground(np.repeat(image[..., None], 3, axis=2))
        assert not (found & ~disc).any()
        assert not (binary_erosion(disc, iterations=2) & ~found).any()
    # A texture fills its image; so does what shows nothing at all.
    assert foreground(picture("weave")).all()
    assert foreground(np.full((32, 32, 3), 7, np.uint8)).all()


def naive_noise(size: int, cells: tuple[int, int], rng: np.random.Generator) -> list[list[float]]:
    """Pixel by pixel."""
    angles = rng.uniform(0, 2 * np.pi, (cells[0] + 1, cells[1] + 1))

    def fade(t: float) -> float:
        return 6 * t**5 - 15 * t**4 + 10 * t**3

    noise = []
    for i in range(size):
        row = []
        for j in range(size):
            y, x = (i + 0.5) * cells[0] / size, (j + 0.5) * cells[1] / size
            value = 0.0
            for a in (0, 1):
                for b in (0, 1):
                    angle = angles[int(y) + a, int(x) + b]
                    dy, dx = y - (int(y) + a), x - (int(x) + b)
                    product = math.sin(angle) * dy + math.cos(angle) * dx
                    value += product * fade(1 - abs(dy)) * fade(1 - abs(dx))
            row.append(math.sqrt(2) * value)
        noise.append(row)
    return noise


@pytest.mark.parametrize("cells", [(2, 2), (4, 1), (3, 8)])
def test_perlin_noise_is_what_its_definition_gives(cells: tuple[int, int]) -> None:
    noise = perlin_noise(24, cells, np.random.default_rng(5))
    np.testing.assert_allclose(noise, naive_noise(24, cells, np.random.default_rng(5)), atol=1e-12)
    assert noise.min() < -0.1 < 0.1 < noise.max()


def test_textures_come_from_a_folder_in_dtds_layout_where_there_is_one(tmp_path: Path) -> None:
    assert find_textures(tmp_path / "dtd") == SHIPPED
    assert "brick, grass, gravel" in SHIPPED.source
    for kind, colour in (("dotted", (250, 0, 0)), ("lined", (0, 250, 0))):
        folder = tmp_path / "dtd" / "images" / kind
        folder.mkdir(parents=True)
        Image.new("RGB", (40, 30), colour).save(folder / "0.png")
    found = find_textures(tmp_path / "dtd")
    assert found.source == "DTD, 2 images of 2 classes"
    rng = np.random.default_rng(0)
    # The images are smaller than what is asked for.
    squares = [found.draw(64, rng) for _ in range(12)]
    assert {tuple(square[5, 9]) for square in squares} == {(250, 0, 0), (0, 250, 0)}
    assert {square.shape for square in squares} == {(64, 64, 3)}
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"images/<class>/\*\.jpg"):
        find_textures(tmp_path / "empty")
