"""The DAG as users run it: in a folder of its own, by snakemake's command line."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from reconpatch.datasets import mvtec_ad
from reconpatch.datasets.demo import render

ROOT = Path(__file__).parents[1]
TINY = """
title: "a few drawn washers"
datasets:
  - source: {layout: mvtec, dataset: tiny, root: "{data_root}"}
    categories: found
seeds: [0]
keep_features: true
recipe:
  features: {backbone: efficientnet_lite0, resize: 96, crop: 96}
  representation: {epochs: 1, batch_size: 128, dimension: 16, projection_dimension: 8}
  detection: {coreset_share: 0.1}
table5:
  - {name: PatchCore, recipe: {representation: null}}
  - {name: ReConPatch}
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What snakemake reads of the project, with a tiny suite and its images."""
    folder = tmp_path_factory.mktemp("checkout")
    for part in ("config", "workflow", "profiles"):
        shutil.copytree(ROOT / part, folder / part)
    for part in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / part, folder / part)
    (folder / "config" / "suites" / "tiny.yaml").write_text(TINY)
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


TINY_CONFIG = ("--config", "suite=tiny", "data_root=images", "device=cpu")


@pytest.fixture(scope="module")
def finished(checkout: Path) -> Path:
    snakemake(checkout, *TINY_CONFIG)
    return checkout


def test_every_measured_figure_has_its_run_behind_it(finished: Path) -> None:
    table = pd.read_csv(finished / "reports" / "tiny" / "tables" / "table5.csv")
    assert list(table.columns) == ["row", "column", "metric", "paper", "measured", "run"]
    assert len(table) == 8  # one category and its average, two methods, two metrics
    for cell in table.itertuples():
        metrics = json.loads(
            (finished / "results" / "runs" / cell.run / "metrics.json").read_text()
        )
        assert cell.measured == pytest.approx(100 * metrics["metrics"][cell.metric])
        assert metrics["method"] == cell.column
    assert table["paper"].isna().all()


def test_a_finished_suite_has_nothing_left_to_do(finished: Path) -> None:
    assert "Nothing to be done" in snakemake(finished, *TINY_CONFIG)


def test_a_changed_recipe_reruns_what_depends_on_it_alone(finished: Path) -> None:
    suite = finished / "config" / "suites" / "tiny.yaml"
    suite.write_text(TINY.replace("epochs: 1", "epochs: 2"))
    try:
        planned = snakemake(finished, "--dry-run", *TINY_CONFIG)
    finally:
        suite.write_text(TINY)
    steps = {"train": 1, "detect": 1, "evaluate": 1, "report": 1, "all": 1}
    assert planned_jobs(planned) == {**steps, "total": 5}


def test_paper_without_its_data_stops_before_any_work(checkout: Path) -> None:
    refused = snakemake(checkout, succeeds=False)
    for word in ("data/mvtec/bottle", "docs/data.md", "suite=demo"):
        assert word in refused
    assert not (checkout / "results" / "data" / "mvtec").exists()


def test_paper_with_its_folders_plans_every_run(checkout: Path) -> None:
    for category in mvtec_ad():
        (checkout / "data" / "mvtec" / category / "train" / "good").mkdir(parents=True)
    try:
        planned = snakemake(checkout, "--dry-run")
    finally:
        shutil.rmtree(checkout / "data")
    jobs = planned_jobs(planned)
    assert (jobs["inspect"], jobs["train"], jobs["evaluate"]) == (15, 45, 60)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ("suite=papr", "There is no suite papr; there are: demo, elpv, mvtec-lite, paper, tiny"),
        ("data_rot=images", "config has no data_rot"),
    ],
)
def test_a_mistyped_config_is_named(checkout: Path, config: str, complaint: str) -> None:
    assert complaint in snakemake(checkout, "--dry-run", "--config", config, succeeds=False)
