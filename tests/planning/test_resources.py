"""What schedulers are told, against the plan's exact bytes."""

import subprocess
import sys
from pathlib import Path

import pytest

from reconpatch.planning.resources import batch_resources, extraction_resources
from reconpatch.planning.space import FLOAT, feature_bytes, peak_memory, pool_bytes
from reconpatch.planning.workload import Images, Workload, count_work
from reconpatch.settings.features import ExtractionSettings, FeatureSettings
from reconpatch.settings.recipe import Recipe
from reconpatch.suites.suite import load_suite
from tests.planning.conftest import MADE_UP, ON_LAYER_MAPS, counted

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture(scope="module", params=["demo", "paper", "on layer maps"])
def workload(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Workload:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "on layer maps":
        suite = MADE_UP.replace("efficientnet_lite0", "wide_resnet50_2")
        return counted(suite, folder, ON_LAYER_MAPS)
    suite = load_suite(CONFIG / "suites" / f"{request.param}.yaml", folder, CONFIG)
    return count_work(suite, folder)


def test_an_extraction_leaves_no_more_than_is_said(workload: Workload) -> None:
    for extraction in workload.extractions:
        images = workload.images[extraction.dataset, extraction.category]
        said = extraction_resources(extraction.settings, images).disk_mb * 1e6
        exact = sum(feature_bytes(workload, extraction).values())
        assert exact <= said <= 25 * exact


def test_a_batch_takes_no_more_than_is_said(workload: Workload) -> None:
    for batch in workload.batches:
        images = workload.images[batch.dataset, batch.category]
        said = batch_resources(batch, images, on_gpu=False)
        works = [workload.work(run) for run in batch.runs if isinstance(run.recipe, Recipe)]
        left = sum(
            work.needs().learned_bytes + work.needs().model_bytes + FLOAT * work.sizes.test_patches
            for work in works
        )
        pools = [pool_bytes(workload, run) for run in workload.refinements if run in batch.runs]
        assert left + max(pools, default=0) <= said.disk_mb * 1e6
        for work in works:
            # What works on a GPU has its memory there.
            host = peak_memory(work, on_gpu=False).total, peak_memory(work, on_gpu=True).mapped
            assert max(host) <= said.mem_mb * 1e6


def test_a_gpu_and_fewer_images_take_less_time(workload: Workload) -> None:
    for batch in workload.batches:
        images = workload.images[batch.dataset, batch.category]
        on_cpu, on_gpu = (batch_resources(batch, images, on_gpu=where) for where in (False, True))
        assert 30 < on_gpu.runtime < on_cpu.runtime
        fewer = Images(images.train // 2, images.test // 2, images.has_masks, images.origin)
        assert batch_resources(batch, fewer, on_gpu=False).runtime < on_cpu.runtime


def test_features_without_training_images_take_less() -> None:
    images = Images(200, 100, has_masks=True, origin="listed")
    whole = ExtractionSettings(features=FeatureSettings())
    tests = whole.model_validate({"features": {}, "augmentation": {}})
    assert whole.splits == ("train", "test")
    assert tests.splits == ("test",)
    # A WideResNet's 512 + 1024 channels at 28 x 28 places, doubled.
    assert extraction_resources(whole, images).disk_mb == 2 * (300 * 784 * 1536 * 4 // 10**6 + 6)
    assert extraction_resources(tests, images).disk_mb == 2 * (100 * 784 * 1536 * 4 // 10**6 + 6)


def test_the_snakefile_needs_no_torch_for_it() -> None:
    code = "import reconpatch.planning.resources, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
