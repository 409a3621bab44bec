"""MVTec AD's bottle, from files to metrics: figures that public PatchCores reach."""

import os
from pathlib import Path

import pytest
import torch

from reconpatch.datasets import Source, load_category
from reconpatch.features import FeatureStore, extract
from reconpatch.files import read_json
from reconpatch.recipe import FeatureSettings, Recipe, RepresentationSettings
from reconpatch.run import detect_run, evaluate_run, train_run

CPU = torch.device("cpu")
FEATURES = FeatureSettings(backbone="efficientnet_lite0")
PATCHCORE = Recipe(features=FEATURES)
RECONPATCH = Recipe(features=FEATURES, representation=RepresentationSettings(epochs=1))


@pytest.fixture(scope="module")
def bottle(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    data = os.environ.get("RECONPATCH_TEST_DATA")
    if not data:
        pytest.skip("RECONPATCH_TEST_DATA does not name the folder that holds mvtec/bottle")
    source = Source(layout="mvtec", dataset="mvtec", root=Path(data) / "mvtec")
    folder = tmp_path_factory.mktemp("bottle")
    category = load_category(source, "bottle")
    return extract(
        category, FEATURES, folder, weights_folder=Path("weights"), device=CPU, threads=2
    )


@pytest.mark.parametrize("recipe", [PATCHCORE, RECONPATCH], ids=["PatchCore", "ReConPatch"])
def test_bottle_is_told_from_its_defects(
    bottle: FeatureStore, recipe: Recipe, tmp_path: Path
) -> None:
    if recipe.representation:
        train_run(bottle.folder, recipe, 0, tmp_path, CPU)
    detect_run(bottle.folder, recipe, 0, tmp_path, CPU)
    evaluate_run(bottle.folder, recipe, 0, tmp_path)
    metrics = read_json(tmp_path / "metrics.json")["metrics"]
    assert metrics["image_auroc"] >= 0.995
    assert metrics["pixel_auroc"] >= 0.975


def test_the_same_seed_gives_the_same_bits_and_another_others(
    bottle: FeatureStore, tmp_path: Path
) -> None:
    few = FeatureStore(bottle.folder)
    scores = {}
    for name, seed in {"once": 0, "again": 0, "other": 1}.items():
        detect_run(few.folder, PATCHCORE, seed, tmp_path / name, CPU)
        scores[name] = (tmp_path / name / "patch_scores.npz").read_bytes()
    assert scores["once"] == scores["again"] != scores["other"]
