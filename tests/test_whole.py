"""A byte that changes in any file that a run leaves or reads is noticed: made anew, or refused."""

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from reconpatch.datasets.demo.pictures import render
from reconpatch.datasets.source import Source, load_category
from reconpatch.features.extract import extract
from reconpatch.methods.reconpatch import ReConPatchRecipe
from reconpatch.reporting.table import Results
from reconpatch.runs.batch import measure, write_manifest
from reconpatch.runs.recipe_run import RecipeRun
from reconpatch.suites.runs import Batch, Run
from reconpatch.utils.record import DamagedError

CPU = torch.device("cpu")
RECIPE = ReConPatchRecipe.model_validate(
    {
        "features": {"backbone": "efficientnet_lite0", "resize": 64, "crop": 64},
        "representation": {"epochs": 1, "batch_size": 64, "dimension": 8},
        "detection": {"coreset_share": 0.1},
    }
)
FEATURES = ("train.npy", "test.npy", "masks.npy", "category.json", "features.json")
LEARNED = ("representation.safetensors", "training.parquet", "learning.json")
OWN = (
    *("model.safetensors", "patch_scores.npz", "scores.parquet", "detection.json"),
    *("diagnostics.json", "replicates.npz", "metrics.json"),
)


@pytest.fixture(scope="module")
def whole_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A measured run of a few drawn washers."""
    folder = tmp_path_factory.mktemp("whole")
    for split, defect, count in (("train", "good", 4), ("test", "good", 2), ("test", "chip", 2)):
        for index in range(count):
            picture = render("washer", split, defect, index, seed=0)
            shown = {folder / "washer" / split / defect / f"{index}.png": picture.defective}
            if defect != "good":
                mask = folder / "washer" / "ground_truth" / defect / f"{index}_mask.png"
                shown[mask] = picture.mask
            for path, pixels in shown.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    category = load_category(Source(layout="mvtec", dataset="tiny", root=folder), "washer")
    place = folder / "features" / "tiny" / "washer" / RECIPE.test_extraction.key
    extract(category, RECIPE.test_extraction, place, weights_folder=folder, device=CPU, threads=1)
    again(folder)
    return folder


RUN = Run("tiny", "washer", RECIPE, 0)
BATCH = Batch("table5", "tiny", "washer", (RUN,), ())


def again(results: Path) -> None:
    measure(BATCH, results, CPU)


@pytest.fixture
def results(whole_results: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    return Path(shutil.copytree(whole_results, tmp_path / "results"))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    # In JSON, a digit becomes another and the form stays.
    digits = [at for at, byte in enumerate(content) if byte in b"01234567"]
    at = digits[len(digits) // 2] if path.suffix == ".json" else len(content) // 2
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", [*LEARNED, *OWN])
def test_what_a_run_left_is_made_anew(
    name: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RecipeRun(RUN, results, CPU)
    folder = run.folder if name in OWN else run.representation_folder
    assert folder
    before = (folder / name).read_bytes()
    scores = (run.folder / "scores.parquet").read_bytes()
    flip(folder / name)
    again(results)
    assert "it is made anew" in capsys.readouterr().err
    assert (run.folder / "scores.parquet").read_bytes() == scores
    if Path(name).suffix in (".safetensors", ".npz"):
        assert (folder / name).read_bytes() == before


@pytest.mark.parametrize("name", FEATURES)
def test_features_that_changed_are_refused(name: str, results: Path) -> None:
    run = RecipeRun(RUN, results, CPU)
    flip(run.test_features.folder / name)
    shutil.rmtree(results / "runs")
    shutil.rmtree(results / "representations")
    with pytest.raises(DamagedError, match=f"Delete {run.test_features.folder}"):
        again(results)


def test_a_run_that_was_measured_and_is_gone_is_no_blank_cell(results: Path) -> None:
    write_manifest(BATCH, results)
    read = Results(results / "runs")
    assert read.record(RUN, "metrics.json")
    assert read.record(RUN, "inference.json") is None
    shutil.rmtree(results / "runs" / RUN.id)
    with pytest.raises(DamagedError, match=f"and {results / 'batches' / 'tiny' / 'washer'}, and"):
        Results(results / "runs").record(RUN, "metrics.json")
    # What was not measured yet is merely missing.
    shutil.rmtree(results / "batches")
    assert Results(results / "runs").record(RUN, "metrics.json") is None
