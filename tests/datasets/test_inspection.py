"""What is wrong with a category is said before any work starts, all of it and by name."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reconpatch.datasets.category import Category
from reconpatch.datasets.images import open_image
from reconpatch.datasets.mvtec_layout import read_mvtec_layout
from reconpatch.utils.errors import InputError


def read(folder: Path) -> Category:
    return read_mvtec_layout(folder, "parts")


def test_file_that_is_no_image_is_named(category_folder: Path) -> None:
    bad = category_folder / "train" / "good" / "000.png"
    bad.write_text("not an image")
    with pytest.raises(InputError, match=rf"{bad} is truncated or not an image; replace it"):
        read(category_folder)


def test_truncated_png_is_named(category_folder: Path, truncate: Callable[[Path], None]) -> None:
    bad = category_folder / "test" / "good" / "001.png"
    truncate(bad)
    with pytest.raises(InputError, match=rf"{bad} is truncated"):
        read(category_folder)


def test_truncated_jpeg_is_found_when_opened(
    category_folder: Path, truncate: Callable[[Path], None]
) -> None:
    # A JPEG has no checksum, so that only decoding it shows that its end is missing.
    bad = category_folder / "train" / "good" / "002.jpg"
    truncate(bad)
    read(category_folder)
    with pytest.raises(InputError, match=rf"{bad} is truncated"):
        open_image(bad)


def test_sixteen_bit_image_is_refused_rather_than_clipped(category_folder: Path) -> None:
    deep = category_folder / "train" / "good" / "000.png"
    Image.fromarray(np.full((24, 32), 30_000, dtype=np.uint16)).save(deep)
    with pytest.raises(InputError, match=rf"{deep} has more than 8 bits a channel"):
        read(category_folder)
    with pytest.raises(InputError, match="more than 8 bits"):
        open_image(deep)


def test_missing_file_is_named_when_opened(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.png cannot be read \(No such file"):
        open_image(tmp_path / "gone.png")


def test_images_open_in_their_modes(tmp_path: Path) -> None:
    Image.new("1", (3, 2), 1).save(tmp_path / "bilevel.png")
    assert open_image(tmp_path / "bilevel.png").mode == "RGB"
    assert np.asarray(open_image(tmp_path / "bilevel.png", "L")).tolist() == [[255] * 3] * 2


def test_mask_of_another_size(category_folder: Path) -> None:
    mask = category_folder / "ground_truth" / "broken" / "000_mask.png"
    Image.new("L", (24, 32)).save(mask)
    with pytest.raises(InputError, match=rf"{mask} has 24 x 32 pixels, but its image .* 32 x 24"):
        read(category_folder)


@pytest.mark.parametrize(
    ("removed", "complaint"),
    [
        ("test", "no anomalous test image"),
        ("test/good", "no normal test image, so that AUROC is undefined"),
        ("test/broken", "no anomalous test image, so that AUROC is undefined"),
    ],
)
def test_both_classes_are_needed(category_folder: Path, removed: str, complaint: str) -> None:
    shutil.rmtree(category_folder / removed)
    with pytest.raises(InputError, match=complaint):
        read(category_folder)


def test_all_problems_are_told_at_once(
    category_folder: Path, truncate: Callable[[Path], None]
) -> None:
    bad = [
        category_folder / "train" / "good" / "000.png",
        category_folder / "test" / "good" / "000.png",
        category_folder / "ground_truth" / "broken" / "001_mask.png",
    ]
    for path in bad:
        truncate(path)
    absent = category_folder / "ground_truth" / "broken" / "000_mask.png"
    absent.unlink()
    with pytest.raises(InputError) as error:
        read(category_folder)
    lines = str(error.value).splitlines()
    assert lines[0] == f"The category part of parts in {category_folder} cannot be used:"
    assert len(lines) == 5
    for path in (*bad, absent):
        assert sum(str(path) in line for line in lines) == 1


def test_hash_does_not_depend_on_where_the_data_lies(category_folder: Path) -> None:
    before = read(category_folder)
    moved = category_folder.parents[1] / "elsewhere" / category_folder.name
    moved.parent.mkdir()
    category_folder.rename(moved)
    after = read(moved)
    assert after.sha256 == before.sha256
    assert after.train[0].image != before.train[0].image


@pytest.mark.parametrize("place", ["train/good/002.jpg", "ground_truth/broken/000_mask.png"])
def test_hash_changes_with_one_byte(category_folder: Path, place: str) -> None:
    before = read(category_folder).sha256
    path = category_folder / place
    # What follows the image's end changes the file but not the picture.
    path.write_bytes(path.read_bytes() + b"\0")
    assert read(category_folder).sha256 != before


def test_hash_changes_with_a_label(category_folder: Path) -> None:
    shutil.rmtree(category_folder / "ground_truth")
    before = read(category_folder).sha256
    (category_folder / "test" / "broken").rename(category_folder / "test" / "bent")
    assert read(category_folder).sha256 != before
