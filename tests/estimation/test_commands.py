"""The commands for somebody's own images, from a folder of good parts to a contact sheet."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from reconpatch import cli, own_parts
from reconpatch.estimation.estimators import ESTIMATORS, PatchCore
from reconpatch.runs.metrics import measure_recipe_run
from reconpatch.utils.files import read_json
from reconpatch.utils.record import write_sealed
from tests.estimation.conftest import SMALL
from tests.estimation.test_estimators import scored_by_the_dag

Run = Callable[..., str]
ON_CPU = ("--device", "cpu", "--threads", "1")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command that must end with an exit code, and return what it printed."""
    monkeypatch.setenv("COLUMNS", "300")

    def command(*arguments: object, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["reconpatch", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        assert ended.value.code == code, printed
        return printed.err if code else printed.out

    return command


@pytest.fixture(scope="module")
def model(patchcore: PatchCore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "model"
    patchcore.save(folder)
    return folder


def test_fit_writes_the_estimators_model(run: Run, washer: Path, tmp_path: Path) -> None:
    good, output = washer / "train" / "good", tmp_path / "model"
    settings = ("--method", "PatchCore", "--size", 96, "--false-alarm-rate", 0.25)
    printed = run("fit", good, "--output", output, *settings, *ON_CPU)
    assert "PatchCore is fitted on 6 images" in printed
    PatchCore(**{**SMALL, "coreset_share": 0.01}).fit(good).save(tmp_path / "same")
    for file in output.iterdir():
        assert file.read_bytes() == (tmp_path / "same" / file.name).read_bytes()


def test_images_can_be_added_to_a_model(
    run: Run, model: Path, washer: Path, tmp_path: Path
) -> None:
    more, output = washer / "test" / "good", tmp_path / "larger"
    printed = run("fit", more, "--output", output, "--add-to", model, *ON_CPU)
    assert "PatchCore is fitted on 9 images" in printed
    settings = ("--size", 64, "--method", "PaDiM")
    new = ("--output", tmp_path / "new")
    complaint = run("fit", more, *new, "--add-to", model, *settings, *ON_CPU, code=2)
    assert f"the settings are those of {model}. Leave out --method, --size" in complaint


def test_predict_writes_scores_overlays_and_one_page(
    run: Run, model: Path, patchcore: PatchCore, washer: Path, tmp_path: Path
) -> None:
    images = washer / "test" / "chip"
    printed = run("predict", model, images, "--output", tmp_path / "out", *ON_CPU)
    scores = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert list(scores.columns) == ["path", "score", "threshold", "anomalous"]
    assert np.array_equal(scores["score"].astype("float32"), patchcore.score_samples(images))
    assert (scores["anomalous"] == (scores["score"] > patchcore.threshold_)).all()
    assert f"{scores['anomalous'].sum()} of 3 images are anomalous" in printed
    assert (tmp_path / "out" / "index.html").as_uri() in printed
    page = (tmp_path / "out" / "index.html").read_text()
    shown = re.findall(r'<img src="overlays/(\d+).png.png"', page)
    ranked = scores.sort_values("score", ascending=False)["path"]
    assert shown == [Path(path).stem for path in ranked]
    assert "which about 25 % of normal images" in " ".join(page.split())
    # It opens offline.
    assert "://" not in page.replace(str(washer), "")
    for name in shown:
        overlay = Image.open(tmp_path / "out" / "overlays" / f"{name}.png.png")
        assert overlay.size == (512, 256)
        left = np.array(overlay.crop((0, 0, 256, 256)))
        assert np.array_equal(left, np.array(Image.open(images / f"{name}.png")))


def test_an_overlay_is_darker_where_the_defect_is(
    run: Run, model: Path, washer: Path, tmp_path: Path
) -> None:
    run("predict", model, washer / "test" / "chip", "--output", tmp_path / "out", *ON_CPU)
    for mask_file in sorted((washer / "ground_truth" / "chip").iterdir()):
        mask = np.array(Image.open(mask_file)) > 0
        name = mask_file.name.replace("_mask", "")
        image = Image.open(washer / "test" / "chip" / name)
        overlay = Image.open(tmp_path / "out" / "overlays" / f"{name}.png")
        grey = 0.4 + 0.6 * np.array(image).mean(axis=2) / 255
        green = np.array(overlay.crop((256, 0, 512, 256)))[..., 1] / 255 / grey
        assert green[mask].mean() < 0.9 * green[~mask].mean()


def test_images_that_cannot_be_read_are_named_and_the_others_scored(
    run: Run, model: Path, washer: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "photos & <parts>"
    folder.mkdir()
    whole = (washer / "test" / "chip" / "000.png").read_bytes()
    (folder / "a #1.png").write_bytes(whole)
    (folder / "cut <b>.png").write_bytes(whole[:2000])
    (folder / "text.jpg").write_text("no image")
    # A wide grey one among square ones in colour.
    Image.new("L", (900, 300), 100).save(folder / "wide.bmp")
    output = tmp_path / "out"
    complaints = run("predict", model, folder, "--output", output, *ON_CPU, code=1)
    assert "cut <b>.png is truncated or not an image" in complaints
    assert "text.jpg is truncated or not an image" in complaints
    scores = pd.read_csv(output / "scores.csv")
    assert [Path(path).name for path in scores["path"]] == ["a #1.png", "wide.bmp"]
    page = (output / "index.html").read_text()
    assert "overlays/a%20%231.png.png" in page
    assert "cut &lt;b&gt;.png is truncated" in page
    assert "<parts>" not in page
    assert Image.open(output / "overlays" / "wide.bmp.png").size == (2 * 448, 149)


def test_json_for_machines(run: Run, model: Path, washer: Path, tmp_path: Path) -> None:
    image = washer / "test" / "good" / "000.png"
    found = json.loads(
        run("predict", model, image, "--output", tmp_path / "out", "--json", *ON_CPU)
    )
    (row,) = found["images"]
    assert row["path"] == str(image)
    assert row["anomalous"] == (row["score"] > row["threshold"])
    assert found["unreadable"] == []


def test_evaluate_measures_what_the_workflow_measures(
    run: Run, model: Path, patchcore: PatchCore, washer: Path, tmp_path: Path
) -> None:
    output = tmp_path / "metrics"
    printed = run("evaluate", model, washer, "--output", output, *ON_CPU)
    found = read_json(output / "metrics.json")
    expected = scored_by_the_dag(patchcore, washer, tmp_path / "results")
    write_sealed(expected.folder / "diagnostics.json", {"metrics": {}, "reasons": {}})
    measure_recipe_run(expected)
    # A data set's name decides the resampling, not the metrics.
    assert found["metrics"] == read_json(expected.folder / "metrics.json")["metrics"]
    assert f"{found['metrics']['pixel_auroc']:.4f}" in printed
    table = pd.read_csv(output / "scores.csv")
    above = table[table["anomalous"]]["above_threshold"].mean()
    assert found["threshold"]["anomalous_above"] == pytest.approx(above)
    for name in ("roc.png", "histogram.png"):
        assert Image.open(output / name).width > 600
    again = json.loads(run("evaluate", model, washer, "--json", *ON_CPU))
    assert again == found


def test_what_cannot_be_done_is_said_with_its_remedy(
    run: Run, model: Path, washer: Path, tmp_path: Path
) -> None:
    empty, one, good = tmp_path / "empty", tmp_path / "one", washer / "train" / "good"
    for folder in (empty, one):
        folder.mkdir()
    Image.new("RGB", (50, 50)).save(one / "only.png")
    new = ("--output", tmp_path / "new")
    for arguments, complaint in [
        (("fit", empty, *new), f"{empty} holds no image"),
        (("fit", washer, *new), "test/chip, test/good, train/good."),
        (("fit", washer / "train", *new), "give one of its folders: good."),
        (("fit", tmp_path / "nowhere", *new), "nowhere is not a folder"),
        (("fit", one, *new, *ON_CPU), "only.png) is not enough to learn from"),
        (("fit", good, "--output", model), f"{model} already exists"),
        (("fit", good, *new, "--false-alarm-rate", 5), "must lie between 0 and 1"),
        (
            ("fit", good, *new, "--method", "PatchCore", "--epochs", 3, *ON_CPU),
            "PatchCore has no epochs to train for",
        ),
        (("serve", empty), f"{empty} holds no fitted model"),
        (("export", empty, "--output", tmp_path / "a.onnx"), f"{empty} holds no fitted model"),
        (("predict", empty, good, *new), f"{empty} holds no fitted model"),
        (("predict", model, empty, *new, *ON_CPU), f"{empty} holds no image"),
        (("predict", model, tmp_path / "a.png", *new, *ON_CPU), "a.png cannot be read"),
        (("predict", model, good, "--output", good, *ON_CPU), f"{good} already exists"),
        (("evaluate", empty, washer), f"{empty} holds no fitted model"),
        (("evaluate", model, good, *ON_CPU), "good/train/good is missing"),
    ]:
        assert complaint in run(*arguments, code=2), arguments
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_command_that_fails_leaves_nothing(
    run: Run, model: Path, washer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for name in ("cut.png", "void.png"):
        (images / name).write_bytes(b"no image")
    complaint = run("predict", model, images, "--output", tmp_path / "out", *ON_CPU, code=2)
    assert "None of 2 images" in complaint
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_the_command_line_offers_every_estimator() -> None:
    offered = get_args(get_args(get_type_hints(own_parts.fit, include_extras=True)["method"])[0])
    assert offered == tuple(ESTIMATORS)
