"""A trained method's run on disk: AUROC along its epochs, and what a kill leaves."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

from reconpatch.datasets.demo.pictures import render
from reconpatch.datasets.source import Source, load_category
from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.features.extract import extract
from reconpatch.methods.cfa import CFARecipe
from reconpatch.methods.patchcore import PatchCoreRecipe
from reconpatch.runs.batch import measure
from reconpatch.runs.recipe_run import RecipeRun
from reconpatch.runs.score_files import read_scores, write_scores
from reconpatch.settings.recipe import Recipe
from reconpatch.suites.runs import Batch, Run
from reconpatch.utils.epochs import Checkpoint
from reconpatch.utils.files import read_json

CPU = torch.device("cpu")
SMALL = {"backbone": "efficientnet_lite0", "resize": 64, "crop": 64}
RECIPE = CFARecipe.model_validate(
    {"features": {**SMALL, "layers": [1, 2]}, "epochs": 12, "learning_rate": 0.1}
)
PLAIN = PatchCoreRecipe.model_validate({"features": SMALL})


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with a few drawn washers' maps and patch features."""
    folder = tmp_path_factory.mktemp("trained")
    for split, defect, count in (("train", "good", 6), ("test", "good", 5), ("test", "chip", 4)):
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
    for recipe in (RECIPE, PLAIN):
        settings = recipe.test_extraction
        place = folder / "features" / "tiny" / "washer" / settings.key
        extract(category, settings, place, weights_folder=folder, device=CPU, threads=1)
    return folder


def measured(results: Path, recipe: Recipe) -> RecipeRun:
    run = RecipeRun(Run("tiny", "washer", recipe, 0), results, CPU)
    measure(Batch("table5", "tiny", "washer", (run.run,), ()), results, CPU)
    return run


def test_metrics_tell_the_last_epoch_from_the_best_on_the_test_images(results: Path) -> None:
    run = measured(results, RECIPE)
    record = read_json(run.folder / "metrics.json")
    along, metrics = record["along_the_training"], record["metrics"]
    assert along["epoch"] == list(run.epoch_scores) == [2, 3, 4, 5, 6, 8, 9, 10, 11, 12]
    anomalous = [sample.anomalous for sample in run.test_features.category.test]
    masks = run.test_features.masks().ravel()
    for place, path in enumerate(run.epoch_scores.values()):
        scores = read_scores(path)
        maps = anomaly_maps(scores.patches, 64, RECIPE.maps).ravel()
        assert along["image_auroc"][place] == pytest.approx(roc_auc_score(anomalous, scores.images))
        assert along["pixel_auroc"][place] == pytest.approx(roc_auc_score(masks, maps))
    for name in ("image_auroc", "pixel_auroc"):
        assert metrics[name] == along[name][-1]
        assert metrics[f"best_{name}"] == max(along[name])
        assert metrics[f"{name}_optimism"] == max(along[name]) - along[name][-1]
    assert metrics["pixel_auroc_optimism"] > 0


def test_what_is_not_trained_by_epochs_says_so(results: Path) -> None:
    record = read_json(measured(results, PLAIN).folder / "metrics.json")
    assert "along_the_training" not in record
    assert record["reasons"]["best_image_auroc"] == "it is not trained by epochs"


def test_a_run_that_was_killed_goes_on_and_leaves_the_same_files(results: Path) -> None:
    run = measured(results, RECIPE)
    files = [*run.epoch_scores.values(), run.folder / "model.safetensors"]
    unbroken = [path.read_bytes() for path in files]
    for path in [*files, run.folder / "detection.json"]:
        path.unlink()
    method = run.new_method()
    checkpoint = Checkpoint(run.folder / "checkpoint.pt", run.detection_fingerprint)
    for epoch in method.fit_epochs(run.training_set, checkpoint):
        if epoch == 5:
            break
        if epoch in run.epoch_scores:
            scores = method.score(run.test_features.read("test"))
            write_scores(run.epoch_scores[epoch], scores)
    first = files[0].stat().st_mtime_ns
    measured(results, RECIPE)
    assert [path.read_bytes() for path in files] == unbroken
    assert files[0].stat().st_mtime_ns == first, "the training started anew"
    assert not checkpoint.path.exists()
