import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from reconpatch.datasets.category import Category
from reconpatch.datasets.mvtec_layout import find_categories, read_mvtec_layout
from reconpatch.datasets.published import published_category
from reconpatch.features.images import masks as image_masks
from reconpatch.settings.features import FeatureSettings
from reconpatch.utils.errors import InputError


def read(folder: Path) -> Category:
    return read_mvtec_layout(folder, "parts")


def test_category_is_read_in_order(category_folder: Path) -> None:
    category = read(category_folder)
    assert (category.dataset, category.name, category.kind) == ("parts", "part", None)
    assert [sample.image.name for sample in category.train] == ["000.png", "001.PNG", "002.jpg"]
    assert [(sample.defect, sample.anomalous) for sample in category.test] == (
        [("broken", True)] * 2 + [("good", False)] * 2
    )
    assert category.test[1].mask == category_folder / "ground_truth" / "broken" / "001_mask.png"
    assert category.has_masks


def test_category_survives_a_round_trip_through_json(category_folder: Path, tmp_path: Path) -> None:
    category = read(category_folder)
    category.write(tmp_path / "category.json")
    assert Category.read(tmp_path / "category.json") == category


def test_mask_may_have_the_name_of_its_image(category_folder: Path) -> None:
    masks = category_folder / "ground_truth" / "broken"
    (masks / "000_mask.png").rename(masks / "000.png")
    assert read(category_folder).test[0].mask == masks / "000.png"


def test_btad_calls_normal_images_ok_and_keeps_masks_as_bitmaps(category_folder: Path) -> None:
    expected = read(category_folder)
    for split in ("train", "test"):
        (category_folder / split / "good").rename(category_folder / split / "ok")
    for part in ("test", "ground_truth"):
        (category_folder / part / "broken").rename(category_folder / part / "ko")
    masks = category_folder / "ground_truth" / "ko"
    for mask in list(masks.iterdir()):
        Image.open(mask).save(masks / f"{mask.stem.removesuffix('_mask')}.bmp")
        mask.unlink()
    assert find_categories(category_folder.parent) == [category_folder.name]
    found = read(category_folder)
    assert len(found.train) == len(expected.train)
    assert [(s.defect, s.anomalous) for s in found.test] == [("ko", True)] * 2 + [
        ("good", False)
    ] * 2
    assert [s.mask and s.mask.name for s in found.test] == ["000.bmp", "001.bmp", None, None]


def test_category_without_ground_truth_has_no_masks(category_folder: Path) -> None:
    shutil.rmtree(category_folder / "ground_truth")
    assert not read(category_folder).has_masks


def test_defective_image_without_its_mask(category_folder: Path) -> None:
    mask = category_folder / "ground_truth" / "broken" / "001_mask.png"
    mask.unlink()
    image = category_folder / "test" / "broken" / "001.jpeg"
    with pytest.raises(InputError, match=rf"{image} has no mask: {mask} is missing; add it"):
        read(category_folder)


def test_missing_category(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="botle is not a folder; give the root that holds"):
        read(tmp_path / "botle")


def test_missing_train_good(category_folder: Path) -> None:
    shutil.rmtree(category_folder / "train" / "good")
    with pytest.raises(InputError, match="train/good is missing"):
        read(category_folder)


def test_empty_train_good(category_folder: Path) -> None:
    for path in (category_folder / "train" / "good").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"no training image; add normal ones .* to train/good"):
        read(category_folder)


def test_categories_are_found(category_folder: Path) -> None:
    shutil.copytree(category_folder, category_folder.with_name("another"))
    (category_folder.parent / "license").mkdir()
    assert find_categories(category_folder.parent) == ["another", "part"]


def test_folder_one_level_off_is_put_right(category_folder: Path) -> None:
    root = category_folder.parent
    with pytest.raises(InputError, match=f"{category_folder} is itself a category; give {root} "):
        find_categories(category_folder)
    with pytest.raises(InputError, match=f"holds no category, but {root} does; give that"):
        find_categories(root.parent)


def test_root_without_categories(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder in it has train/good"):
        find_categories(tmp_path)
    with pytest.raises(InputError, match="gone is not a folder"):
        find_categories(tmp_path / "gone")


def test_bottle_is_complete() -> None:
    data = os.environ.get("RECONPATCH_TEST_DATA")
    if data is None:
        pytest.skip("RECONPATCH_TEST_DATA does not name a folder that holds mvtec/bottle")
    bottle = read_mvtec_layout(Path(data) / "mvtec" / "bottle", "mvtec")
    official = published_category("mvtec", "bottle")
    assert official
    assert len(bottle.train) == official.train
    assert sum(not sample.anomalous for sample in bottle.test) == official.test_good
    assert sum(sample.mask is not None for sample in bottle.test) == official.test_defective


def test_the_mask_of_an_anomalous_image_may_be_empty(category_folder: Path) -> None:
    # As those of BTAD's 03, ko/0028 to ko/0037.
    masks = category_folder / "ground_truth" / "broken"
    Image.new("L", (32, 24), 0).save(masks / "000_mask.bmp")
    (masks / "000_mask.bmp").rename(masks / "000.bmp")
    (masks / "000_mask.png").unlink()
    first, second = (sample for sample in read(category_folder).test if sample.anomalous)
    assert first.mask == masks / "000.bmp"
    found = image_masks([first, second], FeatureSettings(resize=16, crop=16))
    assert found.any(dim=2).any(dim=1).tolist() == [False, True]
