import pytest

from reconpatch.datasets.category import Category, Sample
from reconpatch.datasets.elpv import read
from reconpatch.datasets.images import open_image
from reconpatch.datasets.source import Source
from reconpatch.utils.errors import InputError

pytest.importorskip("elpv_dataset", reason="elpv-dataset is not installed")


def read_elpv(category: str, **settings: int) -> Category:
    return read(Source(layout="elpv", dataset="elpv", **settings), category)


def images(samples: tuple[Sample, ...], anomalous: bool = False) -> set[str]:
    return {sample.image.name for sample in samples if sample.anomalous == anomalous}


@pytest.mark.parametrize(
    ("category", "normal", "anomalous"), [("mono", 588, 313), ("poly", 920, 402)]
)
def test_published_counts(category: str, normal: int, anomalous: int) -> None:
    cells = read_elpv(category, split_seed=0)
    held_out = images(cells.test)
    assert len(held_out) == normal // 3
    assert len(cells.train) == normal - normal // 3
    assert not held_out & images(cells.train)
    assert len(images(cells.test, anomalous=True)) == anomalous
    assert not cells.has_masks
    assert open_image(cells.train[0].image).size == (300, 300)


def test_split_follows_the_seed() -> None:
    first = read_elpv("mono", split_seed=1)
    assert read_elpv("mono", split_seed=1) == first
    other = read_elpv("mono", split_seed=2)
    assert images(other.train) != images(first.train)
    assert other.sha256 != first.sha256


def test_smaller_sets_are_parts_of_larger_ones() -> None:
    whole = read_elpv("mono", split_seed=0)
    small = read_elpv("mono", split_seed=0, train=20, test_per_class=10)
    assert len(small.train) == 20
    assert images(small.train) < images(whole.train)
    for anomalous in (False, True):
        assert len(images(small.test, anomalous)) == 10
        assert images(small.test, anomalous) < images(whole.test, anomalous)


@pytest.mark.parametrize("sizes", [{"train": 393}, {"test_per_class": 197}])
def test_more_than_there_is(sizes: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"392 images to train on.* 196 normal and 313 anomalous"):
        read_elpv("mono", split_seed=0, **sizes)
