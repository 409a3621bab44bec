from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reconpatch.reporting.compare import compare, print_comparison
from reconpatch.reporting.table import COLUMNS
from reconpatch.utils.errors import InputError
from reconpatch.utils.record import write_record


def report(folder: Path, figures: dict[str, tuple[float, float, float]], label: str) -> Path:
    records = [
        {"row": "Detection", "column": f"{name} ({label})", "metric": "image_auroc"}
        | dict(zip(("measured", "low", "high"), cell, strict=True))
        for name, cell in figures.items()
    ]
    (folder / "tables").mkdir(parents=True)
    path = folder / "tables" / "table5.csv"
    pd.DataFrame(records, columns=COLUMNS).to_csv(path, index=False)
    return folder


def test_reports_are_compared_figure_by_figure_under_other_models_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nan = float("nan")
    first = {"a": (90, 88, 92), "b": (90, 88, 92), "c": (90, 88, 92), "d": (90, nan, nan)}
    second = {"a": (91, 89, 93), "b": (95, 93, 97), "c": (90, 88, 92), "d": (80, nan, nan)}
    folders = (
        report(tmp_path / "one", {**first, "gone": (1, 0, 2)}, "WRN-50"),
        report(tmp_path / "two", second, "Lite0"),
    )
    found, alone = compare(*folders)
    assert alone == 1
    # What is beyond the intervals first, then what moved furthest.
    assert found["where"].str[-1].tolist() == ["b", "d", "a", "c"]
    assert found["moved"].tolist() == [5, -10, 1, 0]
    assert found["beyond"].tolist() == [True, None, False, False]
    print_comparison(*folders)
    printed = capsys.readouterr().out
    assert "4 figures are in both; 3 moved, 1 of them beyond the intervals." in printed
    assert "Table 5, Detection" in printed


def run(folder: Path, name: str, value: float, replicates: np.ndarray, images: str) -> None:
    record = {
        "method": "PatchCore",
        "metrics": {"image_auroc": value, "pixel_auroc": None},
        "steps": {"features": {"data_sha256": images}},
    }
    place = folder / "runs" / name
    place.mkdir(parents=True)
    np.savez(place / "replicates.npz", image_auroc=replicates)
    write_record(place / "metrics.json", "", record, ["replicates.npz"])


def test_runs_on_the_same_images_are_compared_pair_by_pair(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, 1000)
    one, two = tmp_path / "one", tmp_path / "two"
    for name, images in (("set/same/key/0", "abc"), ("set/other/key/0", "def")):
        run(one, name, 0.90, 0.90 + noise, images)
        run(two, name, 0.91, 0.91 + noise, "abc")
    found, alone = compare(one, two)
    assert alone == 0
    assert found["moved"].tolist() == pytest.approx([1, 1])
    beyond = found.set_index("where")["beyond"]
    # Replicates that move together leave the difference alone; of other images they do not pair.
    assert beyond.to_dict() == {
        "set/same/key/0 (PatchCore)": True,
        "set/other/key/0 (PatchCore)": False,
    }


def test_folders_of_two_sorts_or_of_none_are_named(tmp_path: Path) -> None:
    (tmp_path / "report" / "tables").mkdir(parents=True)
    (tmp_path / "results" / "runs").mkdir(parents=True)
    with pytest.raises(InputError, match="one of results; give two of one sort"):
        compare(tmp_path / "report", tmp_path / "results")
    with pytest.raises(InputError, match="neither a report"):
        compare(tmp_path, tmp_path / "results")
