"""The inventory's counts and kinds, against what the data sets' papers print."""

import pytest

from reconpatch.datasets.published import published_category
from reconpatch.datasets.source import Source, kind_in
from reconpatch.fetching.catalogue import known_datasets

# Bergmann et al., CVPR 2019, Table 1: kind, training images, normal and defective test images.
MVTEC_AD = {
    "bottle": ("object", 209, 20, 63),
    "cable": ("object", 224, 58, 92),
    "capsule": ("object", 219, 23, 109),
    "carpet": ("texture", 280, 28, 89),
    "grid": ("texture", 264, 21, 57),
    "hazelnut": ("object", 391, 40, 70),
    "leather": ("texture", 245, 32, 92),
    "metal_nut": ("object", 220, 22, 93),
    "pill": ("object", 267, 26, 141),
    "screw": ("object", 320, 41, 119),
    "tile": ("texture", 230, 33, 84),
    "toothbrush": ("object", 60, 12, 30),
    "transistor": ("object", 213, 60, 40),
    "wood": ("texture", 247, 19, 60),
    "zipper": ("object", 240, 32, 119),
}


def test_mvtec_ad_is_as_its_paper_says() -> None:
    known = known_datasets()["mvtec"]
    assert {name: published_category("mvtec", name) for name in known.categories} == MVTEC_AD
    assert [sum(column) for column in list(zip(*MVTEC_AD.values(), strict=True))[1:]] == [
        *(3629, 467, 1258)
    ]


def test_each_defect_of_mvtec_ad_has_its_mask() -> None:
    folders = known_datasets()["mvtec"].folders
    for part, other in (("ground_truth/", "test/"), ("test/", "ground_truth/")):
        counts = {(f.category, f.folder): f.files for f in folders if f.folder.startswith(part)}
        for (category, folder), files in counts.items():
            if folder != "test/good":
                twin = folder.replace(part, other)
                assert [f.files for f in folders if (f.category, f.folder) == (category, twin)] == [
                    files
                ]


@pytest.mark.parametrize(
    ("dataset", "categories", "train", "test"),
    # VisA: 9,621 normal and 1,200 anomalous images.
    [("btad", 3, 1799, (451, 290)), ("visa", 12, 8659, (962, 1200))],
)
def test_counts_add_up_to_those_that_the_papers_give(
    dataset: str, categories: int, train: int, test: tuple[int, int]
) -> None:
    names = known_datasets()[dataset].categories
    published = [each for name in names if (each := published_category(dataset, name))]
    assert len(published) == categories
    assert sum(each.train for each in published) == train
    assert sum(each.test_good for each in published) == test[0]
    assert sum(each.test_defective for each in published) == test[1]
    assert {each.kind for each in published} == {None}


@pytest.mark.parametrize(
    ("layout", "dataset", "name", "kind"),
    [
        ("mvtec", "mvtec", "bottle", "object"),
        ("mvtec", "mvtec", "carpet", "texture"),
        ("mvtec", "mvtec", "bottles", None),
        ("mvtec", "visa", "candle", None),
        ("mvtec", "own", "bottle", None),
        ("mvtec", "dtd", "images", None),
        ("demo", "mvtec", "bottle", None),
        ("demo", "demo", "weave", "texture"),
    ],
)
def test_a_kind_is_known_where_the_data_set_says_so(
    layout: str, dataset: str, name: str, kind: str | None
) -> None:
    source = Source.model_validate({"layout": layout, "dataset": dataset, "root": "nowhere"})
    assert kind_in(source, name) == kind
