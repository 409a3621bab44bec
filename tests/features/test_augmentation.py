import cmath
import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from pydantic import ValidationError
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter

from reconpatch.datasets.category import Sample
from reconpatch.features.augmentation import Augmentation, apply, apply_to_mask, draw
from reconpatch.features.images import image_batches, masks
from reconpatch.settings.features import AugmentationSettings, FeatureSettings

SMALL = FeatureSettings(resize=32, crop=24)
NOTHING = AugmentationSettings(rotation=0, translation=0, brightness=0, contrast=0, blur_sigma=0)
MOVED = AugmentationSettings(rotation=180, translation=0.3, brightness=0, contrast=0, blur_sigma=0)

fills = st.sampled_from(["reflect", "black"])
shares = st.floats(0, 0.49)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)


@pytest.fixture
def noises(tmp_path: Path) -> list[Path]:
    """The same pixels under names that differ in category, split, defect, file or several."""
    names = product(["bottle", "cable"], ["train", "test"], ["good", "cut"], ["0.png", "1.png"])
    paths = [tmp_path.joinpath("data", *name) for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(40, 50, 3)).save(path)
    return paths


@pytest.mark.parametrize("fill", ["reflect", "black"])
@pytest.mark.parametrize("nothing", [NOTHING, AugmentationSettings(probability=0)])
def test_nothing_drawn_leaves_images_and_masks_as_they_are_bit_for_bit(
    tmp_path: Path, noises: list[Path], nothing: AugmentationSettings, fill: str
) -> None:
    nothing = nothing.model_copy(update={"fill": fill})
    plain = torch.cat(list(image_batches(noises, SMALL, 4, 2)))
    assert torch.equal(
        torch.cat(list(image_batches(noises, SMALL, 4, 2, augmentation=nothing))), plain
    )

    Image.fromarray(noise(40, 50) // 128 * 255).save(tmp_path / "mask.png")
    samples = [Sample(path, "scratch", tmp_path / "mask.png") for path in noises]
    found = masks(samples, SMALL, augmentation=nothing)
    assert found.any()
    assert torch.equal(found, masks(samples, SMALL))


def moved_by_hand(pixels: np.ndarray, change: Augmentation) -> tuple[np.ndarray, np.ndarray]:
    """Every pixel by itself: its bilinear value, and its nearest, -1 where two are as near."""
    height, width = pixels.shape
    far = 4 * max(height, width)
    mode = "symmetric" if change.fill == "reflect" else "constant"
    padded = np.pad(pixels.astype(int), far, mode=mode)
    centre = complex(width - 1, height - 1) / 2
    shift = complex(change.shift_x * width, change.shift_y * height)
    turn = cmath.exp(1j * math.radians(change.angle))
    bilinear, nearest = np.zeros(pixels.shape), np.full(pixels.shape, -1)
    for row in range(height):
        for column in range(width):
            old = (complex(column, row) - shift - centre) * turn + centre + complex(far, far)
            x, y = math.floor(old.real), math.floor(old.imag)
            right, down = old.real - x, old.imag - y
            upper = (1 - right) * padded[y, x] + right * padded[y, x + 1]
            lower = (1 - right) * padded[y + 1, x] + right * padded[y + 1, x + 1]
            bilinear[row, column] = (1 - down) * upper + down * lower
            if min(abs(right - 0.5), abs(down - 0.5)) > 1e-9:
                nearest[row, column] = padded[y + (down > 0.5), x + (right > 0.5)]
    return bilinear, nearest


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    angle=st.floats(-180, 180),
    shift_x=st.floats(-0.5, 0.5),
    shift_y=st.floats(-0.5, 0.5),
    fill=fills,
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_images_and_masks_move_as_by_hand(
    angle: float, shift_x: float, shift_y: float, fill: str, size: tuple[int, int]
) -> None:
    change = Augmentation(angle, shift_x, shift_y, fill=fill)
    image, mask = noise(*size), noise(*size, seed=1) // 128 * 255
    expected = moved_by_hand(image, change)[0]
    found = np.asarray(apply(change, Image.fromarray(image)))
    assert np.abs(found - expected).max() < 0.5 + 1e-6

    nearest = moved_by_hand(mask, change)[1]
    found = np.asarray(apply_to_mask(change, Image.fromarray(mask)))
    assert np.array_equal(found[nearest >= 0], nearest[nearest >= 0])


@pytest.mark.parametrize("fill", ["reflect", "black"])
@pytest.mark.parametrize("quarters", [-1, 1, 2])
def test_quarter_turns_are_exact_and_counter_clockwise(quarters: int, fill: str) -> None:
    change = Augmentation(angle=90.0 * quarters, fill=fill)
    image = noise(7, 7, 3)
    assert np.array_equal(apply(change, Image.fromarray(image)), np.rot90(image, quarters))
    mask = image[..., 0]
    assert np.array_equal(apply_to_mask(change, Image.fromarray(mask)), np.rot90(mask, quarters))


@pytest.mark.parametrize("fill", ["reflect", "black"])
def test_masks_follow_their_images(tmp_path: Path, fill: str) -> None:
    # The image is its own mask, off the centre and without symmetry.
    shape = Image.new("L", (64, 64))
    ImageDraw.Draw(shape).polygon([(20, 14), (60, 18), (24, 50)], fill=255)
    shape.save(tmp_path / "mask.png")
    samples = []
    for row in range(12):
        shape.save(tmp_path / f"{row}.png")
        samples.append(Sample(tmp_path / f"{row}.png", "scratch", tmp_path / "mask.png"))
    settings = FeatureSettings(resize=64, crop=64)
    augmentation = MOVED.model_copy(update={"fill": fill})
    paths = [sample.image for sample in samples]
    (batch,) = image_batches(paths, settings, 12, 1, augmentation=augmentation)
    found = masks(samples, settings, augmentation=augmentation).numpy()
    for image, mask in zip(batch[:, 0].numpy() > 127, found, strict=True):
        square = np.ones((3, 3))
        border = binary_dilation(mask, square, 2) & ~binary_erosion(mask, square, 2, border_value=1)
        inner = ~border[2:-2, 2:-2]
        assert np.array_equal(image[2:-2, 2:-2][inner], mask[2:-2, 2:-2][inner])
    assert len({mask.tobytes() for mask in found}) == 12
    good = Sample(paths[0], "good", None)
    assert not masks([good], settings, augmentation=augmentation).any()


@pytest.mark.parametrize("fill", ["reflect", "black"])
@pytest.mark.parametrize("size", [(300, 200), (200, 300)])
@pytest.mark.parametrize("resize_to", ["shorter_side", "square"])
def test_an_image_that_is_no_square_turns_as_its_original_does(
    tmp_path: Path, resize_to: str, size: tuple[int, int], fill: str
) -> None:
    # A bar through the middle, turned before the image is resized and after.
    bar = Image.new("L", size)
    middle = (size[0] / 2, size[1] / 2)
    ImageDraw.Draw(bar).rectangle(
        (middle[0] - 60, middle[1] - 12, middle[0] + 60, middle[1] + 12), fill=255
    )
    # The draw goes by these names.
    path = tmp_path / "part" / "test" / "scratch" / "tile.png"
    path.parent.mkdir(parents=True)
    bar.save(path)
    augmentation = AugmentationSettings(
        rotation=40, translation=0, brightness=0, contrast=0, blur_sigma=0, fill=fill
    )
    settings = FeatureSettings(resize=100, resize_to=resize_to, crop=100)
    change = draw(augmentation, "/".join(path.parts[-4:]))
    assert abs(change.angle) > 5
    bar.rotate(change.angle, Image.Resampling.BILINEAR).save(tmp_path / "turned.png")
    (expected,) = image_batches([tmp_path / "turned.png"], settings, 1, 1)
    (found,) = image_batches([path], settings, 1, 1, augmentation=augmentation)
    sample = Sample(path, "scratch", path)
    mask = masks([sample], settings, augmentation=augmentation)[0].numpy()
    for shape in (found[0, 0].numpy() > 127, mask):
        apart = shape ^ (expected[0, 0].numpy() > 127)
        # On the outline alone, which is some 200 pixels long.
        assert not binary_erosion(apart, np.ones((3, 3))).any()
        assert apart.sum() < 120


def test_real_pixels_fill_the_crops_corners_as_far_as_there_are_some(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "white").save(tmp_path / "white.png")
    augmentation = AugmentationSettings(brightness=0, contrast=0, fill="black")
    for crop, white in ((40, True), (64, False)):
        (batch,) = image_batches(
            [tmp_path / "white.png"],
            FeatureSettings(resize=64, crop=crop),
            1,
            1,
            augmentation=augmentation,
        )
        assert bool((batch == 255).all()) is white


def test_light_and_blur_act_as_stated_and_spare_the_mask() -> None:
    image = noise(48, 40, 3)
    change = Augmentation(brightness=0.8, contrast=0.7, blur_sigma=0.9)
    lit = image * 0.8
    grey = lit @ [0.299, 0.587, 0.114]
    expected = gaussian_filter(grey.mean() + 0.7 * (lit - grey.mean()), (0.9, 0.9, 0))
    found = np.asarray(apply(change, Image.fromarray(image))).astype(float)
    assert np.abs(found - expected)[2:-2, 2:-2].mean() < 1.5

    lit_only = np.asarray(apply(replace(change, blur_sigma=0.0), Image.fromarray(image)))
    assert np.abs(lit_only - (grey.mean() + 0.7 * (lit - grey.mean()))).max() <= 2
    mask = Image.fromarray(image[..., 0])
    assert np.array_equal(apply_to_mask(change, mask), image[..., 0])


def test_an_images_change_depends_on_the_seed_and_its_name_alone(
    tmp_path: Path, noises: list[Path]
) -> None:
    settings = AugmentationSettings()
    (batch,) = image_batches(noises, SMALL, 16, 1, augmentation=settings)
    backwards = list(image_batches(noises[::-1], SMALL, 3, 4, augmentation=settings))
    assert torch.equal(torch.cat(backwards).flip(0), batch)
    assert len({image.numpy().tobytes() for image in batch}) == len(noises)

    other_seed = settings.model_copy(update={"seed": 1})
    (other,) = image_batches(noises, SMALL, 16, 1, augmentation=other_seed)
    assert not (other == batch).flatten(1).all(1).any()

    (tmp_path / "data").rename(tmp_path / "elsewhere")
    moved = [tmp_path / "elsewhere" / path.relative_to(tmp_path / "data") for path in noises]
    (again,) = image_batches(moved, SMALL, 16, 1, augmentation=settings)
    assert torch.equal(again, batch)


def test_draws_stay_what_they_were_in_earlier_versions() -> None:
    assert draw(AugmentationSettings(), "bottle/test/good/000.png") == Augmentation(
        angle=2.26679717809108,
        shift_x=-0.04579443815324233,
        shift_y=-0.003371677060746925,
        brightness=0.9608830289070258,
        contrast=0.9802502513113692,
        blur_sigma=0.8573533540527571,
    )


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    rotation=st.floats(0, 180),
    translation=shares,
    brightness=shares,
    contrast=shares,
    blur_sigma=st.floats(0, 5),
    seed=st.integers(0, 2**70),
    name=st.text(),
)
def test_a_draw_lies_in_its_range_and_no_range_disturbs_another(
    rotation: float,
    translation: float,
    brightness: float,
    contrast: float,
    blur_sigma: float,
    seed: int,
    name: str,
) -> None:
    ranges = {
        "rotation": rotation,
        "translation": translation,
        "brightness": brightness,
        "contrast": contrast,
        "blur_sigma": blur_sigma,
    }
    all_five = draw(AugmentationSettings(seed=seed, **ranges), name)
    assert abs(all_five.angle) <= rotation
    assert max(abs(all_five.shift_x), abs(all_five.shift_y)) <= translation
    assert abs(all_five.brightness - 1) <= brightness + 1e-12
    assert abs(all_five.contrast - 1) <= contrast + 1e-12
    assert 0 <= all_five.blur_sigma <= blur_sigma

    drawn = {
        "rotation": ["angle"],
        "translation": ["shift_x", "shift_y"],
        "brightness": ["brightness"],
        "contrast": ["contrast"],
        "blur_sigma": ["blur_sigma"],
    }
    for range_, values in drawn.items():
        neutral = {value: getattr(Augmentation(), value) for value in values}
        without = draw(AugmentationSettings(seed=seed, **{**ranges, range_: 0}), name)
        assert without == replace(all_five, **neutral)


def test_each_of_the_five_befalls_its_share_of_the_images_by_itself() -> None:
    settings = AugmentationSettings(probability=0.3)
    changes = [draw(settings, f"bottle/test/good/{row}.png") for row in range(1000)]
    befallen = np.array(
        [
            (c.angle != 0, c.shift_x != 0, c.brightness != 1, c.contrast != 1, c.blur_sigma != 0)
            for c in changes
        ]
    )
    # Five standard deviations of a thousand throws.
    assert np.abs(befallen.mean(0) - 0.3).max() < 5 * math.sqrt(0.3 * 0.7 / 1000)
    assert np.abs(np.corrcoef(befallen.T) - np.eye(5)).max() < 5 / math.sqrt(1000)


@pytest.mark.parametrize(
    ("setting", "value", "complaint"),
    [
        ("rotation", -1, "greater than or equal to 0"),
        ("rotation", 400, "rotation 400.0 is above 180 degrees"),
        ("translation", 5, "translation 5.0 must be below 0.5, a share .*0.05 is 5 %"),
        ("brightness", 1, "brightness 1.0 must be below 1, .*0.1 is 10 %"),
        ("contrast", 10, "contrast 10.0 must be below 1, .*0.1 is 10 %"),
        ("blur_sigma", float("inf"), "finite"),
        ("probability", 1.5, "less than or equal to 1"),
        ("fill", "white", "'reflect' or 'black'"),
        ("seed", -1, "greater than or equal to 0"),
    ],
)
def test_impossible_augmentations_say_why(setting: str, value: object, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        AugmentationSettings.model_validate({setting: value})
