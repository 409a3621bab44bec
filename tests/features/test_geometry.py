from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from scipy.ndimage import binary_dilation

from reconpatch.datasets.category import Sample
from reconpatch.features.images import CutOff, cut_off, image_batches, masks
from reconpatch.settings.features import FeatureSettings
from reconpatch.utils.errors import InputError

SMALL = FeatureSettings(resize=16, crop=8)


GEOMETRIES = {
    "as PatchCore": FeatureSettings(),
    "squeezed, then cropped": FeatureSettings(resize_to="square"),
    "squeezed whole": FeatureSettings(resize=224, resize_to="square", crop=None),
}
SIZES = [(300, 500), (500, 300), (131, 100), (800, 600), (260, 260)]


def seen_by_hand(
    image: Image.Image, settings: FeatureSettings, filter_: Image.Resampling
) -> np.ndarray:
    """What Pillow alone makes of an image: resized, then its middle."""
    width, height = image.size
    if settings.resize_to == "square":
        width = height = settings.resize
    else:
        short = min(width, height)
        width, height = settings.resize * width // short, settings.resize * height // short
    resized = image.resize((width, height), filter_)
    if settings.crop is None:
        return np.asarray(resized)
    left, top = round((width - settings.crop) / 2), round((height - settings.crop) / 2)
    return np.asarray(resized.crop((left, top, left + settings.crop, top + settings.crop)))


@pytest.mark.parametrize("settings", GEOMETRIES.values(), ids=GEOMETRIES)
@pytest.mark.parametrize("size", SIZES)
def test_an_image_and_its_mask_are_resized_and_cropped_alike(
    tmp_path: Path, size: tuple[int, int], settings: FeatureSettings
) -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(256, size=(size[1], size[0], 3), dtype=np.uint8))
    mask = Image.fromarray(rng.choice(np.array([0, 255], np.uint8), size=(size[1], size[0])))
    image.save(tmp_path / "image.png")
    mask.save(tmp_path / "mask.png")
    (batch,) = image_batches([tmp_path / "image.png"], settings, 4, 1)
    assert batch.dtype == torch.uint8
    assert batch.shape[2:] == (settings.size, settings.size) == (224, 224)
    expected = seen_by_hand(image, settings, Image.Resampling.BILINEAR)
    assert np.array_equal(batch[0].permute(1, 2, 0), expected)

    # Pixels are measured on the mask as it is resized and cropped here, not on the original's.
    bad = Sample(tmp_path / "image.png", "scratch", tmp_path / "mask.png")
    good = Sample(tmp_path / "image.png", "good", None)
    found = masks([good, bad], settings)
    assert not found[0].any()
    assert np.array_equal(found[1], seen_by_hand(mask, settings, Image.Resampling.NEAREST) > 0)


@pytest.mark.parametrize("settings", GEOMETRIES.values(), ids=GEOMETRIES)
@pytest.mark.parametrize("size", SIZES)
def test_a_square_in_an_image_and_its_mask_land_on_the_same_pixels(
    tmp_path: Path, size: tuple[int, int], settings: FeatureSettings
) -> None:
    drawn = Image.new("L", size)
    left, top = size[0] // 2 - 30, size[1] // 2 - 10
    ImageDraw.Draw(drawn).rectangle((left, top, left + 39, top + 39), fill=255)
    drawn.save(tmp_path / "square.png")
    (batch,) = image_batches([tmp_path / "square.png"], settings, 1, 1)
    image = batch[0, 0].numpy() > 127
    sample = Sample(tmp_path / "square.png", "square", tmp_path / "square.png")
    mask = masks([sample], settings)[0].numpy()
    assert mask.any()
    # Interpolation and the nearest pixel may part by a pixel on the edge, and nowhere else.
    assert not (image & ~binary_dilation(mask, np.ones((3, 3)))).any()
    assert not (mask & ~binary_dilation(image, np.ones((3, 3)))).any()


def test_square_images_are_the_same_pixels_whatever_is_resized(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(256, size=(90, 90, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "image.png")
    shorter, square = (
        next(image_batches([tmp_path / "image.png"], settings, 1, 1))
        for settings in (
            FeatureSettings(resize=64, crop=48),
            FeatureSettings(resize=64, crop=48, resize_to="square"),
        )
    )
    assert torch.equal(shorter, square)


@pytest.mark.parametrize("turned", [False, True])
def test_the_crop_cuts_off_what_lies_beyond_it_and_squeezing_nothing(
    tmp_path: Path, turned: bool
) -> None:
    # 40 by 20: the crop of the resized image's middle keeps columns 10 to 29.
    mask = np.zeros((20, 40), np.uint8)
    mask[5:15, 0:15] = 255
    border = np.zeros_like(mask)
    border[5:15, 35:] = 255
    bad, unseen, empty = (
        Sample(tmp_path / "image.png", "scratch", tmp_path / f"{name}.png")
        for name in ("bad", "unseen", "empty")
    )
    for sample, drawn in ((bad, mask), (unseen, border), (empty, np.zeros_like(mask))):
        assert sample.mask
        Image.fromarray(drawn.T if turned else drawn).save(sample.mask)
    good = Sample(tmp_path / "image.png", "good", None)
    middle = FeatureSettings(resize=20, crop=20)
    assert cut_off([good, bad, empty], middle) == (pytest.approx(2 / 3), 0)
    assert cut_off([good, bad, unseen], middle) == (pytest.approx(3 / 4), 1)
    squeezed = middle.model_copy(update={"resize_to": "square"})
    assert cut_off([bad, unseen], squeezed) == cut_off([good, empty], middle) == CutOff(0.0, 0)


def test_batches_keep_the_order_of_the_images(tmp_path: Path) -> None:
    paths = []
    for value in range(11):
        # The first of every three is large and slow to read.
        side = 900 if value % 3 == 0 else 20
        paths.append(tmp_path / f"{97 * value % 11}.png")
        Image.new("RGB", (side, side), (value, 0, 0)).save(paths[-1])
    batches = list(image_batches(paths, SMALL, 3, 4))
    assert [len(batch) for batch in batches] == [3, 3, 3, 2]
    assert torch.cat(batches)[:, 0, 0, 0].tolist() == list(range(11))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_truncated_image_is_named(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8)
    paths = [tmp_path / f"{name}.{suffix}" for name in ("first", "cut", "last")]
    for path in paths:
        Image.fromarray(noise).save(path)
    paths[1].write_bytes(paths[1].read_bytes()[: paths[1].stat().st_size // 2])
    with pytest.raises(InputError, match=rf"cut\.{suffix}"):
        list(image_batches(paths, SMALL, 2, 2))
