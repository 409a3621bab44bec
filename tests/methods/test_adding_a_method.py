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
from tests.conftest import ROOT, TINY_CONFIG

TOY = Path(__file__).with_name("nearest_mean.py")
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
methods: {nearest mean: {mean: {squared: true}}}
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
    rows: [{name: nearest mean, method: nearest mean}]
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
    shutil.copy(TOY, package / "methods")
    registry = package / "methods" / "registry.py"
    text = registry.read_text()
    new = "from reconpatch.methods.nearest_mean import NearestMean\n"
    text = text.replace(
        "from reconpatch.methods.patchcore", new + "from reconpatch.methods.patchcore"
    )
    registry.write_text(text.replace("        PatchCore,\n", "        PatchCore, NearestMean,\n"))
    folder = tmp_path / "checkout"
    shutil.copytree(
        checkout, folder, ignore=shutil.ignore_patterns("results", "reports", ".snakemake")
    )
    (folder / "config" / "suites" / "toy.yaml").write_text(SUITE)
    (folder / "config" / "toy.yaml").write_text(EXPERIMENTS)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "snakemake",
            "--cores",
            "2",
            "--config",
            "suite=toy",
            *TINY_CONFIG[2:],
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(package.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    tables = folder / "reports" / "toy" / "tables"
    cells = pd.read_csv(tables / "table5.csv").dropna(subset=["measured"])
    assert set(cells["column"]) == {"PatchCore", "nearest mean"}
    toy = cells[cells["column"] == "nearest mean"].set_index(["row", "metric"])["measured"]
    (features,) = (folder / "results" / "features").glob("*/washer/*")
    mean = np.load(features / "train.npy").mean(axis=(0, 1, 2))
    scores = ((np.load(features / "test.npy") - mean) ** 2).sum(axis=3).max(axis=(1, 2))
    anomalous = [sample.anomalous for sample in FeatureStore(features).category.test]
    assert toy["washer", "image_auroc"] == pytest.approx(100 * roc_auc_score(anomalous, scores))
    assert toy["washer", "pixel_auroc"] <= 100
    assert toy["Average", "effective_rank"] > 1
    assert pd.read_csv(tables / "tableS6.csv")["measured"].notna().all()
    figures = {path.name for path in (folder / "reports" / "toy" / "figures").glob("*.png")}
    assert figures == {"figure4.png", "figure5.png"}
    assert "nearest mean" in (folder / "reports" / "toy" / "report.html").read_text()
