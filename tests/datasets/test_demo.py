from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

from reconpatch.datasets.demo.categories import CATEGORIES
from reconpatch.datasets.demo.pictures import render
from reconpatch.datasets.demo.writer import write_demo
from reconpatch.datasets.source import Source, load_category, published_in
from reconpatch.utils.errors import InputError

SEED = 3


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "demo"
    write_demo(root, SEED)
    return root


@pytest.mark.parametrize(("name", "kind"), [("washer", "object"), ("weave", "texture")])
def test_set_is_whole(demo: Path, name: str, kind: str) -> None:
    source = Source(layout="demo", dataset="demo", root=demo)
    category = load_category(source, name)
    assert category.kind == kind
    assert category.has_masks
    assert len(category.train) == 40
    defects = [sample.defect for sample in category.test]
    assert {defect: defects.count(defect) for defect in defects} == {
        "good": 12,
        **dict.fromkeys(CATEGORIES[name].defects, 6),
    }
    assert published_in(source, name) == (kind, 40, 12, 18)
    assert len({sample.image.read_bytes() for sample in (*category.train, *category.test)}) == 70


@pytest.mark.parametrize(
    ("category", "defect"), [(name, d) for name in CATEGORIES for d in CATEGORIES[name].defects]
)
def test_masks_are_exactly_the_pixels_that_changed(demo: Path, category: str, defect: str) -> None:
    again = render(category, "test", defect, 4, SEED)
    shown = np.asarray(Image.open(demo / category / "test" / defect / "004.png"))
    np.testing.assert_array_equal(shown, again.defective)
    mask = np.asarray(Image.open(demo / category / "ground_truth" / defect / "004_mask.png"))
    assert set(np.unique(mask)) == {0, 255}
    np.testing.assert_array_equal(mask > 0, (shown != again.clean).any(axis=2))
    # A solid region, not a scatter of pixels.
    _, regions = scipy.ndimage.label(mask)
    assert regions <= 4
    assert (mask > 0).sum() > 60


def test_same_seed_draws_the_same_and_another_does_not() -> None:
    first, again, other = (render("weave", "train", "good", 0, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.clean, again.clean)
    assert (first.clean != other.clean).mean() > 0.5
    assert not first.mask.any()


def test_existing_folder_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    with pytest.raises(InputError, match="already exists; delete it"):
        write_demo(tmp_path, SEED)
    assert precious.read_text() == "mine"
