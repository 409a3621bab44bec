"""A rehearsal: what it keeps of its suite, what it shortens, and that it comes to its end."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reconpatch.planning.rehearsal import write_settings
from reconpatch.settings.composed import AnyRecipe, Ensemble, Refined
from reconpatch.suites.runs import batches
from reconpatch.suites.suite import Suite, load_suite
from tests.conftest import ROOT, TINY

CONFIG = ROOT / "config"


def shapes(suite: Suite) -> set[str]:
    """All that the suite's recipes are, but for how long they train."""
    runs = {run for batch in batches(suite) for run in batch.runs}
    return {json.dumps(untimed(run.recipe.model_dump(mode="json"))) for run in runs}


def untimed(content: Any) -> Any:
    if isinstance(content, dict):
        return {k: untimed(v) for k, v in content.items() if k not in ("epochs", "pool")}
    return [untimed(each) for each in content] if isinstance(content, list) else content


def trainings(recipe: AnyRecipe) -> list[int]:
    """The epochs of all that is trained for a recipe."""
    if isinstance(recipe, Refined):
        return [recipe.refinement.epochs, recipe.refinement.pool, *trainings(recipe.of)]
    if isinstance(recipe, Ensemble):
        return [epochs for member in recipe.members for epochs in trainings(member)]
    return [getattr(part, "epochs", 0) for part in (recipe, recipe.learned)]


@pytest.mark.parametrize("name", ["paper", "demo", "study", "mvtec-lite"])
def test_every_recipe_is_rehearsed_and_trains_for_an_epoch(name: str, tmp_path: Path) -> None:
    suite = load_suite(CONFIG / "suites" / f"{name}.yaml", tmp_path / "no-data", CONFIG)
    rehearsed, drawn = write_settings(name, CONFIG, tmp_path)
    assert shapes(rehearsed) == shapes(suite)
    recipes = {run.recipe for batch in batches(rehearsed) for run in batch.runs}
    assert max(epochs for recipe in recipes for epochs in trainings(recipe)) == 1
    assert rehearsed.title.startswith("REHEARSAL")
    assert {each.dataset for each in drawn}.isdisjoint({"mvtec", "btad", "elpv", "demo"})


def test_images_have_the_real_pixel_sizes_and_btads_are_not_square(tmp_path: Path) -> None:
    _, drawn = write_settings("paper", CONFIG, tmp_path)
    assert [(each.name, each.pixels) for each in drawn] == [
        ("washer", (1024, 1024)),
        ("03", (800, 600)),
    ]


def test_a_rehearsal_comes_to_the_report_with_random_weights(tmp_path: Path) -> None:
    for part in ("config", "workflow", "profiles"):
        shutil.copytree(ROOT / part, tmp_path / part)
    for part in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / part, tmp_path / part)
    tiny = TINY.replace("efficientnet_lite0", "resnet18").replace(
        "categories: found", "categories: [part]"
    )
    (tmp_path / "config" / "suites" / "tiny.yaml").write_text(tiny)
    (tmp_path / "config" / "experiments.yaml").write_text(SHOWN)
    command = [sys.executable, "-m", "reconpatch", "rehearse", "--suite", "tiny", "--device", "cpu"]
    wide = os.environ | {"COLUMNS": "200"}

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=wide)

    assert done.returncode == 0, done.stderr
    folder = tmp_path / "rehearsals" / "tiny"
    assert "REHEARSAL" in (folder / "reports" / "tiny-rehearsal" / "report.html").read_text()
    (weights,) = (folder / "weights").iterdir()
    assert weights.name == "resnet18.safetensors"
    assert not (tmp_path / "results").exists()
    # k = 3 and k = 5 are one shape; beside them PatchCore, an ensemble, and that refined.
    assert re.search(r"Table 1: Detection, 3 +2( +\d+\.\d{3}){3} +\d+ +\d+\.\d", done.stdout)
    assert re.search(r"Table 2: refined +1( +\d+\.\d{3}){3} ", done.stdout)
    assert "Rehearsed 6 recipes of suite tiny" in done.stdout


SHOWN = """
tables:
  table1:
    caption: shapes
    rows: [{name: Detection}]
    columns:
      - {name: "3", recipe: {representation: {k: 3}}}
      - {name: "5"}
      - {name: PatchCore, method: PatchCore}
  table2:
    caption: made of others
    rows: categories
    columns:
      - {name: ensemble, model: ensemble_480}
      - {name: refined, model: ensemble_480, refinement: {}}
figures:
  figure5: {caption: maps, draws: maps, of: [{name: ReConPatch}]}
"""
