"""MVTec AD's bottle, from files to metrics: figures that public PatchCores reach."""

import os
from pathlib import Path

import pytest
import torch

from reconpatch.datasets.source import Source, load_category
from reconpatch.features.extract import extract
from reconpatch.methods.padim import PaDiM
from reconpatch.methods.patchcore import PatchCore
from reconpatch.methods.reconpatch import ReConPatch
from reconpatch.runs.batch import measure
from reconpatch.settings.composed import Refined
from reconpatch.settings.features import FeatureSettings
from reconpatch.settings.recipe import Recipe
from reconpatch.settings.refinement import RefinementSettings
from reconpatch.settings.representation import RepresentationSettings
from reconpatch.suites.runs import Batch, Run
from reconpatch.utils.files import read_json

CPU = torch.device("cpu")
FEATURES = FeatureSettings(backbone="efficientnet_lite0")
PATCHCORE = PatchCore.Recipe(features=FEATURES)
RECONPATCH = ReConPatch.Recipe(features=FEATURES, representation=RepresentationSettings(epochs=1))

PADIM = PaDiM.Recipe.model_validate(
    {"features": {"backbone": "efficientnet_lite0"}, "dimension": 100}
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of results with bottle's patch features and layer maps."""
    data = os.environ.get("RECONPATCH_TEST_DATA")
    if not data:
        pytest.skip("RECONPATCH_TEST_DATA does not name the folder that holds mvtec/bottle")
    source = Source(layout="mvtec", dataset="mvtec", root=Path(data) / "mvtec")
    folder = tmp_path_factory.mktemp("results")
    for recipe in (PATCHCORE, PADIM):
        extract(
            load_category(source, "bottle"),
            recipe.test_extraction,
            folder / "features" / "mvtec" / "bottle" / recipe.test_extraction.key,
            weights_folder=Path("weights"),
            device=CPU,
            threads=2,
        )
    return folder


def measured(results: Path, recipe: Recipe | Refined, seed: int) -> Path:
    """Measure a run and return its folder."""
    run = Run("mvtec", "bottle", recipe, seed)
    measure(Batch("table5", "mvtec", "bottle", run.ancestors, ()), results, CPU)
    return results / "runs" / run.id


@pytest.mark.parametrize("recipe", [PATCHCORE, RECONPATCH], ids=["PatchCore", "ReConPatch"])
def test_bottle_is_told_from_its_defects(results: Path, recipe: Recipe) -> None:
    metrics = read_json(measured(results, recipe, 0) / "metrics.json")["metrics"]
    assert metrics["image_auroc"] >= 0.995
    assert metrics["pixel_auroc"] >= 0.975


def test_padim_tells_bottle_from_its_defects(results: Path) -> None:
    metrics = read_json(measured(results, PADIM, 0) / "metrics.json")["metrics"]
    assert metrics["image_auroc"] >= 0.99
    assert metrics["pixel_auroc"] >= 0.97


def test_the_same_seed_gives_the_same_bits_and_another_others(results: Path) -> None:
    once = measured(results, PATCHCORE, 0)
    scores = (once / "patch_scores.npz").read_bytes()
    (once / "detection.json").unlink()
    assert (measured(results, PATCHCORE, 0) / "patch_scores.npz").read_bytes() == scores
    assert (measured(results, PATCHCORE, 1) / "patch_scores.npz").read_bytes() != scores


def test_refined_maps_of_bottle_are_closer_to_the_truth(results: Path) -> None:
    """With a small part of the paper's training, on defects made of the images themselves."""
    refined = Refined(of=PATCHCORE, refinement=RefinementSettings(pool=2, epochs=15))
    before, after = (
        read_json(measured(results, recipe, 0) / "metrics.json")["metrics"]
        for recipe in (PATCHCORE, refined)
    )
    assert after["pixel_auroc"] > before["pixel_auroc"]
    assert after["image_auroc"] >= before["image_auroc"] - 0.003
