"""A suite's work against numbers taken by hand, by Snakemake, and from real files."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reconpatch.datasets import load_category
from reconpatch.datasets.demo import render
from reconpatch.errors import InputError
from reconpatch.features import extract
from reconpatch.planning import count_work, expected_seconds, measure
from reconpatch.planning.costs import overlapped
from reconpatch.planning.space import feature_bytes, peak_memory, run_bytes
from reconpatch.planning.units import Costs, Line, RecipeCosts
from reconpatch.planning.workload import Workload
from reconpatch.run import detect_run, train_run
from reconpatch.suite import load_suite
from tests.test_workflow import planned_jobs, snakemake

ROOT = Path(__file__).parents[2]
MADE_UP = """
title: two categories of MVTec AD, whose images are not here
datasets:
  - source: {layout: mvtec, dataset: mvtec, root: "{data_root}"}
    categories: [bottle, cable]
seeds: [0, 1]
keep_features: false
recipe:
  features: {backbone: efficientnet_lite0}
  representation: {epochs: 3, dimension: 64, projection_dimension: 32}
table5:
  - {name: PatchCore, recipe: {representation: null}}
  - {name: ReConPatch}
  - {name: The same again}
  - {name: Half, recipe: {features: {layers: [2], stored_as: float16}}}
"""
TINY = """
title: a few drawn washers
datasets:
  - source: {layout: mvtec, dataset: tiny, root: "{data_root}"}
    categories: found
seeds: [0]
keep_features: true
recipe:
  features: {backbone: efficientnet_lite0, resize: 64, crop: 64}
  representation: {epochs: 1, batch_size: 128, dimension: 16, projection_dimension: 8}
  detection: {coreset_share: 0.1}
table5:
  - {name: PatchCore, recipe: {representation: null}}
  - {name: ReConPatch}
"""


def counted(text: str, folder: Path) -> Workload:
    path = folder / "suite.yaml"
    path.write_text(text)
    return count_work(load_suite(path, folder / "images"), folder / "results")


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    return counted(MADE_UP, tmp_path_factory.mktemp("made_up"))


@pytest.fixture
def tiny(tmp_path: Path) -> Workload:
    for split, defect, count in [("train", "good", 5), ("test", "good", 2), ("test", "chip", 1)]:
        folder = tmp_path / "images" / "washer" / split / defect
        masks = tmp_path / "images" / "washer" / "ground_truth" / defect
        folder.mkdir(parents=True)
        for index in range(count):
            picture = render("washer", split, defect, index, seed=0)
            Image.fromarray(picture.defective).save(folder / f"{index}.png")
            if defect != "good":
                masks.mkdir(parents=True)
                Image.fromarray(picture.mask).save(masks / f"{index}_mask.png")
    return counted(TINY, tmp_path)


def test_work_is_what_a_hand_counts(made_up: Workload) -> None:
    assert made_up.jobs == {
        "inspect": 2,
        "extract": 4,  # two categories, two feature settings
        "train": 8,
        "detect": 12,  # two categories, three recipes, two seeds
        "evaluate": 12,
        "report": 1,
    }
    run = next(r for r in made_up.runs if r.category == "bottle" and r.recipe.representation)
    work = made_up.work(run)
    assert work.train_patches == 209 * 28 * 28
    assert work.test_patches == 83 * 28 * 28
    assert (work.patch_dimension, work.dimension) == (40 + 112, 64)
    assert work.bank == 1638
    assert work.steps == 3 * 160
    assert work.maps == 83


def test_memory_is_what_a_hand_counts(made_up: Workload) -> None:
    patchcore, reconpatch, half = (r for r in made_up.runs[::2] if r.category == "bottle")
    train, test, block = 209 * 784, 83 * 784, 4 * 2048 * 4096
    assert peak_memory(made_up, patchcore, on_gpu=False) == (
        4 * 152 * (train + test),
        8 * train + 4 * 2048 * (2048 + 152) + block,
    )
    for run, stored in ((reconpatch, 4 * 152), (half, 2 * 40)):
        mapped, working = peak_memory(made_up, run, on_gpu=True)
        assert mapped == stored * (train + test)
        assert working == 4 * 64 * train + 8 * train + 4 * 2048 * (2048 + 64) + block


def test_seconds_are_work_times_cost(made_up: Workload) -> None:
    ones = RecipeCosts(1.0, 1.0, Line(1.0, 0.0), Line(0.0, 1.0), 1.0)
    costs = Costs(
        light_start=10.0,
        start=100.0,
        started_bytes=0,
        drawing=1.0,
        inspection={made_up.suite.datasets[0].id: 1.0},
        building=dict.fromkeys(made_up.patches, 1000.0),
        images={(made_up.suite.datasets[0].id, settings): 1.0 for settings in made_up.patches},
        recipes={run.recipe: ones for run in made_up.runs},
    )
    bottle, cable = 209 + 83, 224 + 150
    detect = 0
    for train, test in ((209 * 784, 83 * 784), (224 * 784, 150 * 784)):
        bank = train // 100
        detect += 6 * ((train + test) + bank + (test + bank) * bank)
    assert expected_seconds(made_up, costs) == pytest.approx(
        {
            "inspect": 2 * 10 + bottle + cable,
            "extract": 4 * (100 + 1000) + 2 * (bottle + cable),
            "train": 8 * 100 + 4 * 3 * (209 * 784 // 1024 + 224 * 784 // 1024),
            "detect": 12 * 100 + detect,
            "evaluate": 12 * 100 + 6 * (83 + 150),
            "report": 100,
        }
    )


def test_jobs_are_those_that_snakemake_plans(tmp_path: Path) -> None:
    for part in ("config", "workflow", "profiles"):
        shutil.copytree(ROOT / part, tmp_path / part)
    for part in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / part, tmp_path / part)
    suite = load_suite(tmp_path / "config" / "suites" / "demo.yaml", tmp_path)
    planned = planned_jobs(snakemake(tmp_path, "--dry-run", "--config", "suite=demo"))
    del planned["all"], planned["total"]
    assert count_work(suite, tmp_path / "results").jobs == planned


def test_bytes_are_those_of_real_files(tiny: Workload, tmp_path: Path) -> None:
    (extraction,) = tiny.extractions
    (dataset,) = tiny.suite.datasets
    features = tmp_path / "features"
    cpu = torch.device("cpu")
    category = load_category(dataset.source, extraction.category)
    weights = tmp_path / "weights"
    extract(category, extraction.settings, features, weights_folder=weights, device=cpu, threads=1)
    size = {path.name: path.stat().st_size for path in features.iterdir()}
    planned = feature_bytes(tiny, extraction)
    header = 128
    assert planned["patch features"] == size["train.npy"] + size["test.npy"] - 2 * header
    assert planned["masks"] == size["masks.npy"] - header
    for run in tiny.runs:
        folder = tmp_path / run.recipe.method
        folder.mkdir()
        if run.recipe.representation:
            train_run(features, run.recipe, run.seed, folder, cpu)
        detect_run(features, run.recipe, run.seed, folder, cpu)
        planned = run_bytes(tiny, run)
        for kind, name in [
            ("memory banks", "memory_bank.safetensors"),
            ("representations", "representation.safetensors"),
        ]:
            real = (folder / name).stat().st_size if (folder / name).exists() else 0
            assert real - 400 < planned[kind] <= real, kind  # what is over is the file's header
        with np.load(folder / "patch_scores.npz") as archive:
            assert planned["patch scores"] == archive["patch_scores"].nbytes


def test_every_unit_is_measured(tiny: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconpatch.planning.costs.ENOUGH", 0.0)
    monkeypatch.setattr("reconpatch.planning.costs.PRODUCTS", 0.0)
    monkeypatch.setattr("reconpatch.planning.costs._start", lambda code: (1.0, "512"))
    said: list[str] = []
    costs = measure(tiny, torch.device("cpu"), 1, said.append)
    assert {rule for rule, seconds in expected_seconds(tiny, costs).items() if seconds > 0} == set(
        tiny.jobs
    )
    assert costs.started_bytes == 512 * 2**20
    assert any("efficientnet_lite0" in what for what in said)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("[bottle, cable]", "found", "images is not a folder"),
        ("[bottle, cable]", "[bottel]", "bottel is not a folder"),
        ("efficientnet_lite0", "efficientnet_lite77", "efficientnet_lite77 is neither a preset"),
        ("layers: [2]", "layers: [9]", "none at .1024."),
    ],
)
def test_a_suite_that_cannot_be_counted_says_why(
    old: str, new: str, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=complaint):
        counted(MADE_UP.replace(old, new), tmp_path)


def test_a_line_through_noise_still_rises_from_zero() -> None:
    assert Line.through((10, 3.0), (20, 5.0)) == pytest.approx((1.0, 0.2))
    assert Line.through((10, 3.0), (20, 2.0)) == pytest.approx((0.0, 0.1))
    assert Line.through((10, 1.0), (20, 5.0)) == pytest.approx((0.0, 0.25))


@pytest.mark.parametrize(
    ("cores", "device", "expected"),
    [(2, "cpu", 3 + 1 / 2), (8, "cpu", 3), (2, "cuda", 3), (1, "cuda", 4)],
)
def test_decoding_hides_behind_the_backbone_where_cores_are_free(
    cores: int, device: str, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert overlapped(1.0, 3.0, 2, torch.device(device)) == pytest.approx(expected)
