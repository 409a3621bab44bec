from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reconpatch.datasets.category import Sample
from reconpatch.features.images import image_batches, masks
from reconpatch.settings.features import FeatureSettings
from reconpatch.utils.errors import InputError

SMALL = FeatureSettings(resize=16, crop=8)


def middle_by_hand(image: Image.Image, filter_: Image.Resampling) -> np.ndarray:
    """The shorter side to 256 pixels, then the middle 224 x 224."""
    width, height = image.size
    short = min(width, height)
    width, height = 256 * width // short, 256 * height // short
    left, top = round((width - 224) / 2), round((height - 224) / 2)
    resized = image.resize((width, height), filter_)
    return np.asarray(resized.crop((left, top, left + 224, top + 224)))


@pytest.mark.parametrize("size", [(300, 500), (500, 300), (131, 100)])
def test_an_image_and_its_mask_are_resized_and_cropped_alike(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(256, size=(size[1], size[0], 3), dtype=np.uint8))
    mask = Image.fromarray(rng.choice(np.array([0, 255], np.uint8), size=(size[1], size[0])))
    image.save(tmp_path / "image.png")
    mask.save(tmp_path / "mask.png")
    (batch,) = image_batches([tmp_path / "image.png"], FeatureSettings(), 4, 1)
    assert batch.dtype == torch.uint8
    expected = middle_by_hand(image, Image.Resampling.BILINEAR)
    assert np.array_equal(batch[0].permute(1, 2, 0), expected)

    bad = Sample(tmp_path / "image.png", "scratch", tmp_path / "mask.png")
    good = Sample(tmp_path / "image.png", "good", None)
    found = masks([good, bad], FeatureSettings())
    assert not found[0].any()
    assert np.array_equal(found[1], middle_by_hand(mask, Image.Resampling.NEAREST) > 0)


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
