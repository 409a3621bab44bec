"""A short demo training to metrics on both devices, with ImageNet weights from a package."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import torch

from benchmarks.data import category_folder
from benchmarks.gpu_check.check import Check, Outcome, Value
from benchmarks.gpu_check.setup import CPU, Setup
from benchmarks.plan import FULL
from reconpatch.datasets.category import Category
from reconpatch.datasets.mvtec_layout import read_mvtec_layout
from reconpatch.features.extract import extract
from reconpatch.methods.patchcore import PatchCore
from reconpatch.methods.reconpatch import ReConPatch
from reconpatch.runs.batch import measure
from reconpatch.runs.recipe_run import RecipeRun
from reconpatch.settings.features import FeatureSettings
from reconpatch.settings.recipe import Recipe
from reconpatch.settings.representation import RepresentationSettings
from reconpatch.suites.runs import Batch, Run
from reconpatch.utils.files import read_json

ALLOWED = 0.01
"""By how much an AUROC may differ: a near tie in the coreset moves it by some thousandths."""

METRICS = ("image_auroc", "pixel_auroc")


def checks(setup: Setup) -> Iterator[Check]:
    """Compare the metrics of PatchCore and of ReConPatch on a drawn category."""
    sizes = setup.sizes
    training = RepresentationSettings(
        dimension=128,
        projection_dimension=128,
        epochs=sizes.epochs,
        batch_size=sizes.batch_size,
        learning_rate=1e-3,
    )
    crop = sizes.demo_crop
    features = FeatureSettings(backbone="efficientnet_lite0", resize=crop * 8 // 7, crop=crop)
    recipes: dict[str, Recipe] = {
        "PatchCore": PatchCore.Recipe(features=features),
        "ReConPatch": ReConPatch.Recipe(features=features, representation=training),
    }
    category = cache(lambda: _category(setup))
    for name, recipe in recipes.items():
        yield Check(name, partial(_compared, setup, category, recipe))


def _category(setup: Setup) -> Category:
    train, test = setup.sizes.demo_images
    plan = replace(FULL, train_images=train, test_images=test)
    return read_mvtec_layout(category_folder(None, plan, setup.work), "gpu-check")


def _compared(setup: Setup, drawn: Callable[[], Category], recipe: Recipe) -> Outcome:
    category = drawn()
    there = _metrics(setup, category, recipe, setup.device, setup.work / "device")
    here = _metrics(setup, category, recipe, CPU, setup.work / "cpu")
    values: dict[str, Value] = {}
    problems = []
    for name in METRICS:
        values |= {name: there[name], f"{name}_cpu": here[name]}
        if abs(there[name] - here[name]) > ALLOWED:
            problems.append(f"{name} is {there[name]:.4f}, on the CPU {here[name]:.4f}")
    return Outcome(values, "; ".join(problems) or None)


def _metrics(
    setup: Setup, category: Category, recipe: Recipe, device: torch.device, results: Path
) -> dict[str, float]:
    run = Run("gpu-check", category.name, recipe, seed=0)
    one = RecipeRun(run, results, device)
    extract(
        category,
        recipe.test_extraction,
        one.test_features.folder,
        weights_folder=setup.work / "weights",
        device=device,
        threads=setup.threads,
    )
    measure(Batch("gpu-check", run.dataset, category.name, (run,), after=()), results, device)
    metrics: dict[str, float] = read_json(one.folder / "metrics.json")["metrics"]
    return metrics
