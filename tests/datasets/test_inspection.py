"""What is wrong with a category is said before any work starts, all of it and by name."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from reconpatch.datasets.category import Category
from reconpatch.datasets.images import open_image, opened, upright_size
from reconpatch.datasets.mvtec_layout import read_mvtec_layout
from reconpatch.datasets.oddities import oddities
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


def test_a_training_image_that_cannot_be_read_is_never_dropped(category_folder: Path) -> None:
    good = category_folder / "train" / "good"
    (good / "link.png").symlink_to("not-fetched.png")
    (good / "folder.png").mkdir()
    with pytest.raises(InputError) as refused:
        read(category_folder)
    assert f"{good / 'link.png'} cannot be read (No such file or directory)" in str(refused.value)
    assert f"{good / 'folder.png'} cannot be read (Is a directory)" in str(refused.value)


def test_an_image_of_absurd_size_is_called_that(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.png"
    Image.new("1", (20_000, 20_000)).save(bomb)
    with pytest.raises(InputError, match=r"bomb\.png claims more than 178,956,970 pixels"):
        open_image(bomb)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_exif_data_say(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / "turned.png"
    Image.new("RGB", (32, 24)).save(path, exif=exif)
    with opened(path) as image:
        assert upright_size(image) == open_image(path).size
    assert open_image(path).size == ((32, 24) if orientation < 5 else (24, 32))


def test_a_photograph_taken_upright_is_seen_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).save(tmp_path / "a.png", exif=exif)
    assert np.asarray(open_image(tmp_path / "a.png", "L")).tolist() == [[0], [255]]


def test_what_is_odd_and_may_be_meant_is_told(category_folder: Path) -> None:
    masks, test = category_folder / "ground_truth" / "broken", category_folder / "test"
    (told,) = oddities(read(category_folder))
    assert told.startswith(f"masks mark every pixel as defective (2, such as {masks}")
    Image.new("L", (32, 24)).save(masks / "000_mask.png")
    palette = Image.new("P", (32, 24))
    palette.putpalette([255, 255, 255, 255, 0, 0])
    palette.save(masks / "001_mask.png")
    shutil.copy(category_folder / "train" / "good" / "000.png", test / "good" / "001.png")
    (category_folder / "train" / "good" / "more.gif").write_bytes(b"GIF")
    told = "\n".join(oddities(read(category_folder)))
    for word in (
        f"{category_folder / 'train' / 'good'} has files that are not read (1, such as more.gif)",
        f"test images are training images too (1, such as {test / 'good' / '001.png'}",
        f"masks of anomalous images mark nothing (1, such as {masks / '000_mask.png'})",
        f"masks mark every pixel as defective (1, such as {masks / '001_mask.png'})",
    ):
        assert word in told


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
