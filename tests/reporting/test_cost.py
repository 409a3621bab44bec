from pathlib import Path

import pandas as pd
import pytest

from reconpatch.reporting.cost import COSTS
from reconpatch.reporting.drawings import tradeoff
from reconpatch.reporting.drawings.style import save


def test_costs_are_those_of_the_records() -> None:
    record = {
        "test_images": {"normal": 30, "anomalous": 70},
        "steps": {
            "features": {"seconds": {"train": 1000}},
            "detection": {
                "seconds": {"fit": 12, "scoring": 5, "scoring along the training": 500},
                "counts": {"model_bytes": 3 * 2**20},
            },
        },
    }
    expected = {"scoring_ms": 50, "model_mib": 3}
    assert {name: cost(record) for name, cost in COSTS.items()} == expected


@pytest.mark.parametrize("metrics", [["image_auroc"], ["image_auroc", "pixel_auroc"]])
def test_each_method_is_a_point_in_each_panel(metrics: list[str], tmp_path: Path) -> None:
    values = pd.DataFrame(
        {"scoring_ms": [10.0, 200.0], **{metric: [98.0, 99.0] for metric in metrics}},
        index=["PatchCore", "SPADE"],
    )
    figure = tradeoff.draw(values)
    assert len(figure.axes) == len(metrics)
    for axes in figure.axes:
        assert [tuple(line.get_xydata()[0]) for line in axes.lines] == [(10, 98), (200, 99)]
    save(figure, tmp_path / "figure")
