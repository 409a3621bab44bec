"""A suite's work against numbers taken by hand, by Snakemake, and from real files."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reconpatch.datasets.demo.pictures import render
from reconpatch.datasets.source import Source, load_category
from reconpatch.detection.coreset import coreset_memory
from reconpatch.detection.memory_bank import BLOCK
from reconpatch.features.extract import extract
from reconpatch.methods.method import Sizes
from reconpatch.planning.space import feature_bytes, kept_bytes, peak_memory, pool_bytes
from reconpatch.planning.workload import RunWork, Workload, count_images, count_work
from reconpatch.runs.batch import measure as measure_batch
from reconpatch.settings.base import Settings
from reconpatch.settings.detection import DetectionSettings
from reconpatch.settings.representation import PoolingSettings, RepresentationSettings
from reconpatch.suites.runs import timed_runs
from reconpatch.suites.suite import load_suite
from reconpatch.utils.errors import InputError
from tests.planning.conftest import EXPERIMENTS, MADE_UP, ON_LAYER_MAPS, counted
from tests.test_workflow import planned_jobs, snakemake

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
NAMES = "[bottle, cable]"
FOLDERS = f'dataset: mvtec, root: "{{data_root}}"}}\n    categories: {NAMES}'
TINY = """
title: a few drawn washers
datasets:
  - source: {layout: mvtec, dataset: tiny, root: "{data_root}"}
    categories: found
seeds: [0]
keep_features: true
recipe:
  features: {backbone: efficientnet_lite0, resize: 96, crop: 64}
  detection: {coreset_share: 0.2}
methods:
  ReConPatch:
    representation: {epochs: 2, batch_size: 128, dimension: 16, projection_dimension: 8}
models:
  single: {label: one}
  pair: {label: two, members: [{}, {features: {crop: 96}}]}
"""


@pytest.fixture(params=[EXPERIMENTS, ON_LAYER_MAPS], ids=["made up", "on layer maps"])
def tiny(request: pytest.FixtureRequest, tmp_path: Path) -> Workload:
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
    return counted(TINY, tmp_path, request.param)


def test_work_is_what_a_hand_counts(made_up: Workload) -> None:
    assert made_up.jobs == {
        "inspect": 2,
        "extract": 8,  # as it is, half, changed, and the ensemble's second member, a category
        "measure": 4,
        "time_inference": 1,
        "figure": 2,
        "report": 1,
    }
    # A category and a seed have two runs in table1, six more in table2.
    assert len(made_up.runs) == 4 * 8
    assert len(made_up.works) == 4 * 6
    assert len(made_up.ensembles) == 4
    assert len(made_up.members) == 4 * 2  # of which one is also refined
    # Each image as it is and three times changed: colours, mask and map.
    pools = [pool_bytes(made_up, run) for run in made_up.refinements]
    assert pools == [8 * 4 * 209 * 224**2] * 2 + [8 * 4 * 224 * 224**2] * 2
    assert len(made_up.learned) == 4 * 3  # 1 %, 10 % and changed share one
    assert len(timed_runs(made_up.suite)) == 2
    work = made_up.works[0]
    assert work.run.category == "bottle"
    assert work.sizes == Sizes(209, 83, 28 * 28, 40 + 112)
    assert work.needs().steps == 3 * 160
    # A coreset of 1 % at 64 dimensions, with the index of each vector.
    assert work.needs().model_bytes == 1638 * (4 * 64 + 8)
    # f, three copies of it along the training, and g.
    assert work.needs().learned_bytes == 4 * (4 * 153 * 64 + 65 * 32)


def test_memory_is_what_a_hand_counts(made_up: Workload) -> None:
    train, test = 209 * 784, 83 * 784
    of_bottle = [work for work in made_up.works if work.run.category == "bottle"]
    patchcore = next(work for work in of_bottle if work.recipe.method == "PatchCore")
    half = next(work for work in of_bottle if work.recipe.features.stored_as == "float16")
    assert peak_memory(patchcore, on_gpu=False) == (
        4 * 152 * (train + test),
        coreset_memory(train, 152),
    )
    pooled = recipe_changed(patchcore, representation=PoolingSettings(dimension=64))
    for work, stored in ((of_bottle[0], 4 * 152), (half, 2 * 40), (pooled, 4 * 152)):
        mapped, working = peak_memory(work, on_gpu=False)
        assert mapped == stored * (train + test)
        assert working == 4 * 64 * train + coreset_memory(train, 64)
    # Beside half of all vectors, held twice, a selection is small.
    large = recipe_changed(half, detection=DetectionSettings(coreset_share=0.5))
    vectors = train + 2 * (train // 2) + test
    assert peak_memory(large, on_gpu=True).working == 4 * 64 * vectors + BLOCK
    # Mini-batches of half of all patches: their labels, distances and products are the peak.
    batch = train // 2
    learns = RepresentationSettings(dimension=64, projection_dimension=32, batch_size=batch)
    trained = recipe_changed(of_bottle[0], representation=learns)
    weights = 153 * 64 + 65 * 32
    step = 10 * batch * 152 + 4 * (5 * weights + 5 * batch**2 + batch * (64 + 3 * 32))
    assert peak_memory(trained, on_gpu=False).working == step
    # A CUDA graph takes as much again, and the patches are there as they are stored.
    assert peak_memory(trained, on_gpu=True).working == 2 * step + 4 * 152 * train


def recipe_changed(work: RunWork, **settings: Settings) -> RunWork:
    return replace(work, recipe=work.recipe.model_copy(update=settings))


def test_jobs_are_those_that_snakemake_plans(tmp_path: Path) -> None:
    for part in ("config", "workflow", "profiles"):
        shutil.copytree(ROOT / part, tmp_path / part)
    for part in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / part, tmp_path / part)
    config = tmp_path / "config"
    suite = load_suite(config / "suites" / "demo.yaml", tmp_path, config)
    planned = planned_jobs(snakemake(tmp_path, "--dry-run", "--config", "suite=demo"))
    del planned["all"], planned["total"]
    assert count_work(suite, tmp_path / "results").jobs == planned


def test_bytes_are_those_of_real_files(tiny: Workload, tmp_path: Path) -> None:
    (dataset,) = tiny.suite.datasets
    results = tmp_path / "results"
    header = 128
    for extraction in tiny.extractions:
        folder = results / "features" / dataset.id / "washer" / extraction.settings.key
        extract(
            load_category(dataset.source, "washer"),
            extraction.settings,
            folder,
            weights_folder=tmp_path / "weights",
            device=CPU,
            threads=1,
        )
        size = {path.name: path.stat().st_size - header for path in folder.glob("*.npy")}
        planned = feature_bytes(tiny, extraction)
        assert planned["patch features"] == size["train.npy"] + size["test.npy"]
        assert planned["masks"] == size["masks.npy"]
    for batch in tiny.batches:
        measure_batch(batch, results, CPU)
    real: Counter[str] = Counter()
    for kind, pattern in [
        ("representations", "representations/**/*.safetensors"),
        ("models", "runs/**/model.safetensors"),
    ]:
        for path in results.glob(pattern):
            # Eight bytes say how long the header is that follows.
            told = path.read_bytes()[:8]
            real[kind] += path.stat().st_size - 8 - int.from_bytes(told, "little")
    for kind, name in [
        ("patch scores", "patch_scores.npz"),
        ("patch scores", "epochs/*.npz"),
        ("training scores", "training_scores.npz"),
        ("replicates", "replicates.npz"),
    ]:
        for path in results.glob(f"runs/**/{name}"):
            with np.load(path) as archive:
                arrays = [array for entry, array in archive.items() if entry != "images"]
            real[kind] += sum(array.nbytes for array in arrays)
    # Of shapes.
    real["models"] -= 8 * 3 * 4 * ("SPADE" in {work.recipe.method for work in tiny.works})
    assert kept_bytes(tiny) == real


@pytest.mark.parametrize(
    ("category", "train", "test"), [("01", 400, 70), ("02", 399, 230), ("03", 1000, 441)]
)
def test_btad_is_counted_without_its_images(category: str, train: int, test: int) -> None:
    source = Source(layout="mvtec", dataset="btad", root=Path("nowhere"))
    images = count_images(source, category, Path("nowhere"))
    assert (images.train, images.test, images.origin) == (train, test, "published")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (FOLDERS, FOLDERS.replace("mvtec,", "own,").replace(NAMES, "found"), "is not a folder"),
        ("[bottle, cable]", "[bottel]", "bottel is not a folder"),
        ("efficientnet_lite0", "efficientnet_lite77", "efficientnet_lite77 is neither a preset"),
        ("crop: 160", "layers: [9]", "none at .1024."),
    ],
)
def test_a_suite_that_cannot_be_counted_says_why(
    old: str, new: str, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=complaint):
        counted(MADE_UP.replace(old, new), tmp_path)
