"""A new method touches its own file, the registry, and a suite; the rest knows the seam alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from reconpatch.features.store import FeatureStore
from reconpatch.utils.files import read_json
from tests.conftest import ROOT, TINY_CONFIG

TOY = Path(__file__).with_name("nearest_mean.py")
# The same method on the first layer's maps.
ON_MAPS = {
    "nearest mean": "mean map",
    "NearestMean": "MeanMap",
    "class MeanMapRecipe(Recipe):\n": "class MeanMapRecipe(Recipe):\n    reads = 'layer maps'\n",
    "self.represent(training.patches)": "self._first(training.patches)",
    "self.represent(patches)": "self._first(patches)",
    "    def tensors": "    def _first(self, maps):\n"
    "        return maps.layers()[0].movedim(1, 3).flatten(0, 2).float()\n\n    def tensors",
}
SUITE = """
title: "a new method"
experiments: toy.yaml
datasets:
  - source: {layout: mvtec, dataset: tiny, root: "{data_root}"}
    categories: found
seeds: [0]
keep_features: true
recipe:
  features: {backbone: efficientnet_lite0, resize: 96, crop: 96}
  detection: {coreset_share: 0.1}
models:
  single: {label: tiny}
methods: {nearest mean: {squared: true}, mean map: {}}
"""
EXPERIMENTS = """
tables:
  table5:
    caption: methods
    metrics: [image_auroc, pixel_auroc, effective_rank]
    rows: categories
    every_method: true
    columns: [{name: PatchCore, method: PatchCore}]
  tableS6:
    caption: time
    metrics: [inference_ms]
    rows: [{name: nearest mean, method: nearest mean}, {name: mean map, method: mean map}]
    columns: [{name: Avg. inference time}]
figures:
  figure4: {caption: histograms, draws: histogram, of: [{name: toy, method: nearest mean}]}
  figure5: {caption: maps, draws: maps, of: [{name: toy, method: nearest mean}]}
"""


def test_a_file_of_forty_lines_runs_from_images_to_the_report(
    checkout: Path, tmp_path: Path
) -> None:
    assert len(TOY.read_text().splitlines()) <= 40
    package = tmp_path / "package" / "reconpatch"
    shutil.copytree(ROOT / "reconpatch", package)
    text = TOY.read_text()
    (package / "methods" / "nearest_mean.py").write_text(text)
    for old, new in ON_MAPS.items():
        assert old in text
        text = text.replace(old, new)
    (package / "methods" / "mean_map.py").write_text(text)
    registry = package / "methods" / "registry.py"
    text = registry.read_text()
    for module, name in (("nearest_mean", "NearestMean"), ("mean_map", "MeanMap")):
        line = f"from reconpatch.methods.{module} import {name}\n"
        text = text.replace(
            "from reconpatch.methods.patchcore", line + "from reconpatch.methods.patchcore"
        )
        text = text.replace("        PatchCore,\n", f"        PatchCore,\n        {name},\n")
    registry.write_text(text)
    folder = tmp_path / "checkout"
    shutil.copytree(
        checkout, folder, ignore=shutil.ignore_patterns("results", "reports", ".snakemake")
    )
    (folder / "config" / "suites" / "toy.yaml").write_text(SUITE)
    (folder / "config" / "toy.yaml").write_text(EXPERIMENTS)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--config", "suite=toy"]
    done = subprocess.run(
        [*command, *TINY_CONFIG[2:]],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(package.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    tables = folder / "reports" / "toy" / "tables"
    cells = pd.read_csv(tables / "table5.csv").dropna(subset=["measured"])
    assert set(cells["column"]) == {"PatchCore", "nearest mean", "mean map"}
    of = cells.set_index(["column", "row", "metric"])["measured"]
    assert of["nearest mean", "Average", "effective_rank"] > 1
    assert ("mean map", "Average", "effective_rank") not in of
    for record in (folder / "results" / "features").glob("*/washer/*/features.json"):
        train, test = (np.load(record.with_name(f"{split}.npy")) for split in ("train", "test"))
        squared, method = True, "nearest mean"
        if shapes := read_json(record)["layer_shapes"]:
            squared, method = False, "mean map"
            size = int(np.prod(shapes[0]))
            train, test = (
                np.moveaxis(of_split[:, :size].reshape(-1, *shapes[0]), 1, 3)
                for of_split in (train, test)
            )
        distances = ((test - train.mean(axis=(0, 1, 2))) ** 2).sum(axis=3).max(axis=(1, 2))
        anomalous = [sample.anomalous for sample in FeatureStore(record.parent).category.test]
        expected = 100 * roc_auc_score(anomalous, distances if squared else np.sqrt(distances))
        assert of[method, "washer", "image_auroc"] == pytest.approx(expected)
        assert of[method, "washer", "pixel_auroc"] <= 100
    assert pd.read_csv(tables / "tableS6.csv")["measured"].notna().sum() == 2
    figures = {path.name for path in (folder / "reports" / "toy" / "figures").glob("*.png")}
    assert figures == {"figure4.png", "figure5.png"}
    assert "nearest mean" in (folder / "reports" / "toy" / "report.html").read_text()
