"""The workflow as users run it, in a folder of its own: run once, looked at by many tests."""

import re
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import settings
from PIL import Image

from reconpatch.datasets.demo.pictures import render

# How long an example takes says what else the machine does, not whether the code is right.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

ROOT = Path(__file__).parents[1]
TINY = """
title: "a few drawn washers"
datasets:
  - source: {layout: mvtec, dataset: tiny, root: "{data_root}"}
    categories: found
seeds: [0, 1]
keep_features: true
recipe:
  features: {backbone: efficientnet_lite0, resize: 96, crop: 96}
  detection: {coreset_share: 0.1}
methods:
  # Other channels than ReConPatch's.
  PatchCore: {features: {aggregation: patchcore, layer_dimension: 24, target_dimension: 24}}
  ReConPatch:
    representation: {epochs: 1, batch_size: 128, dimension: 16, projection_dimension: 8}
refinement: {pool: 1, width: 4, rates: [1, 2]}
models:
  single: {label: tiny}
  ensemble_480: {label: two sizes, members: [{}, {features: {patch_size: 5}}]}
"""
TABLES = """
tables:
  table1:
    caption: shares
    rows: [{name: Detection}, {name: Segmentation, metrics: [pixel_auroc]}]
    columns:
      - {name: half, recipe: {detection: {coreset_share: 0.5}}}
      - {name: tenth}
  table5:
    caption: methods
    metrics: [image_auroc, pixel_auroc]
    rows: categories
    columns:
      - {name: PatchCore, method: PatchCore}
      - {name: ReConPatch}
  table6:
    caption: ensembles
    topic: ensembles
    rows: [{name: Segmentation, metrics: [pixel_auroc]}]
    columns:
      - {name: "ReConPatch ({ensemble_480})", model: ensemble_480}
      - {name: "refined", model: ensemble_480, refinement: {epochs: 2}}
  tableS1:
    caption: neighbours
    topic: sensitivity
    varies: k
    rows: [{name: Detection}]
    columns:
      - {name: "3", recipe: {representation: {k: 3}}}
      - {name: "5"}
  tableS5:
    caption: robustness
    topic: robustness
    rows: categories
    columns:
      - {name: before}
      - {name: after, recipe: {augmentation: {rotation: 90}}}
      - {name: drop, difference: [before, after]}
  tableS6:
    caption: time
    topic: cost
    metrics: [inference_ms]
    rows: [{name: ReConPatch}]
    columns: [{name: Avg. inference time}]
figures:
  figure3:
    caption: embeddings
    draws: embedding
    of: [{name: PatchCore, method: PatchCore}, {name: ReConPatch}]
    along_training: true
  figure4:
    caption: histograms
    draws: histogram
    of: [{name: PatchCore, method: PatchCore}, {name: ReConPatch}]
  figure5: {caption: maps, draws: maps, of: [{name: ReConPatch}]}
  figureS2:
    caption: memory
    draws: memory
    of: [{name: PatchCore, method: PatchCore}, {name: ReConPatch}]
  figureS5:
    caption: refined maps
    draws: refinement
    of: [{name: refined, model: ensemble_480, refinement: {epochs: 2}}]
  sweep9: {caption: a sweep, draws: sweep, table: tableS1}
  figureS4: {caption: more maps, stands_for: BTAD, draws: maps, of: [{name: ReConPatch}]}
"""


def write_checkout(folder: Path) -> None:
    """Write what snakemake reads of the project, with a tiny suite, experiments and images."""
    for part in ("config", "docs", "workflow", "profiles"):
        shutil.copytree(ROOT / part, folder / part)
    for part in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / part, folder / part)
    (folder / "config" / "suites" / "tiny.yaml").write_text(TINY)
    (folder / "config" / "experiments.yaml").write_text(TABLES)
    for split, defect, count in [("train", "good", 8), ("test", "good", 3), ("test", "chip", 3)]:
        images = folder / "images" / "washer" / split / defect
        masks = folder / "images" / "washer" / "ground_truth" / defect
        for index in range(count):
            picture = render("washer", split, defect, index, seed=0)
            images.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture.defective).save(images / f"{index:03}.png")
            if defect != "good":
                masks.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture.mask).save(masks / f"{index:03}_mask.png")


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    write_checkout(folder)
    return folder


def snakemake(folder: Path, *arguments: str, succeeds: bool = True) -> str:
    """Run snakemake in ``folder`` and return all that it printed."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert (done.returncode == 0) == succeeds, done.stdout
    return done.stdout


def planned_jobs(printed: str) -> dict[str, int]:
    """Return the job counts a rule that a dry run prints."""
    return {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", printed, re.MULTILINE)}


TINY_CONFIG = ("--config", "suite=tiny", "data_root=images", "device=cpu", "threads=1")


@pytest.fixture(scope="session")
def finished(checkout: Path) -> Path:
    snakemake(checkout, *TINY_CONFIG)
    return checkout


def fingerprints(folder: Path) -> dict[str, str]:
    """The hashes of all tables whose cells no clock decides."""
    tables = sorted((folder / "reports" / "tiny" / "tables").glob("*.csv"))
    return {
        path.name: sha256(path.read_bytes()).hexdigest()
        for path in tables
        if path.stem != "tableS6"
    }
