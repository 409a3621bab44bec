from pathlib import Path

import pandas as pd
import pytest

from reconpatch.datasets import mvtec_ad

PUBLISHED = Path(__file__).parents[1] / "config" / "published"


@pytest.fixture(scope="module")
def table5() -> pd.DataFrame:
    table = pd.read_csv(PUBLISHED / "table5.csv")
    return table.pivot(index="row", columns=["column", "metric"], values="value")


def test_table5_has_every_category_and_method(table5: pd.DataFrame) -> None:
    means = {"Object classes", "Texture classes", "Average"}
    assert set(table5.index) == set(mvtec_ad()) | means
    assert table5.shape == (18, 16)


def test_means_recomputed_from_the_categories_are_those_that_the_paper_prints(
    table5: pd.DataFrame,
) -> None:
    kinds = {name: category.kind for name, category in mvtec_ad().items()}
    categories = table5.loc[list(kinds)]
    groups = {"Object classes": "object", "Texture classes": "texture"}
    off = [
        (mean, column, metric, round(recomputed - printed, 2))
        for mean, kind in groups.items()
        for (column, metric), printed in table5.loc[mean].items()
        for recomputed in [
            categories[column, metric][[k for k in kinds if kinds[k] == kind]].mean()
        ]
        if abs(recomputed - printed) > 0.0051
    ]
    assert off == []
