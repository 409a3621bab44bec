"""Simulated defects and the refinement network: the CPU's beside the GPU's, and a step's time."""

import time
from collections.abc import Iterator
from functools import cache, partial

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from benchmarks.gpu_check.check import Check, Outcome
from benchmarks.gpu_check.compare import agreement, together
from benchmarks.gpu_check.detection import EVERY, recipe
from benchmarks.gpu_check.features import random_backbone
from benchmarks.gpu_check.meter import DevicePeak, wait
from benchmarks.gpu_check.setup import CPU, Setup
from reconpatch.datasets.demo.pictures import render
from reconpatch.features.aggregation import patch_features
from reconpatch.methods.patchcore import PatchCore
from reconpatch.refinement.network import RefinementNetwork
from reconpatch.refinement.pool import Pool, read_pool, write_pool
from reconpatch.refinement.refine import refine
from reconpatch.refinement.scoring import score_simulated
from reconpatch.refinement.textures import SHIPPED
from reconpatch.refinement.training import train_refinement
from reconpatch.settings.detection import MapSettings
from reconpatch.settings.refinement import RefinementSettings

STEPS = 10


def agreement_checks(setup: Setup) -> Iterator[Check]:
    """Compare scores of simulated images, training steps, and refined maps."""
    pool = cache(partial(simulated_pool, setup, setup.sizes.crop, setup.sizes.simulated))
    yield Check("scores of simulated defects", lambda: _simulated_scores(setup, pool()))
    yield Check(f"refinement network, {STEPS} steps", lambda: _steps(setup, pool()))
    yield Check("refined maps", lambda: _refined(setup, pool()))


def speed_checks(setup: Setup) -> Iterator[Check]:
    """Time a training step, its mini-batch prepared on the host as in a run."""
    for size in setup.sizes.refinement:
        yield Check(f"refinement step at {size} px", partial(_step_time, setup, size))


def simulated_pool(setup: Setup, size: int, count: int) -> Pool:
    """Return a pool of drawn washers with simulated defects; its scores are drawn at random."""
    folder = setup.work / f"pool-{size}-{count}"
    settings = RefinementSettings(pool=2, smallest=10)
    if not folder.is_dir():
        images = (_washer(index, size)[None] for index in range(count))
        write_pool(images, count, size, settings, SHIPPED, 0, folder, "simulated defects")
    cells = max(2, size // 8)
    scores = np.random.default_rng(0).normal(size=(count, 3, cells, cells)).astype(np.float32)
    return read_pool(folder, (scores,), MapSettings())


def _washer(index: int, size: int) -> Tensor:
    picture = Image.fromarray(render("washer", "train", "good", index, 0).defective)
    return torch.from_numpy(np.array(picture.resize((size, size)))).permute(2, 0, 1)


def _simulated_scores(setup: Setup, pool: Pool) -> Outcome:
    images = pool.images[: min(4, len(pool.images))]
    normal = torch.from_numpy(np.array(images[:, 0])).permute(0, 3, 1, 2)
    maps = random_backbone("efficientnet_lite0", CPU)(normal)
    features = patch_features(maps, recipe().features).flatten(0, 2)

    def scored(device: torch.device) -> npt.NDArray[np.float32]:
        backbone = random_backbone("efficientnet_lite0", device)
        method = PatchCore(recipe(), device)
        method.load(
            {"vectors": features[::EVERY], "indices": torch.arange(0, len(features), EVERY)}
        )
        return score_simulated(np.array(images[:, 1:]), backbone, method, "simulated scores")

    return agreement(scored(setup.device), scored(CPU), 1e-3)


def _train(pool: Pool, settings: RefinementSettings, device: torch.device) -> RefinementNetwork:
    return train_refinement(pool, settings, 0, device=device)


def _weights(network: RefinementNetwork) -> Tensor:
    return torch.cat([p.detach().cpu().flatten() for p in network.parameters()])


def _steps(setup: Setup, pool: Pool) -> Outcome:
    """How far the weights lie apart beside how far they moved."""
    size = min(16, len(pool.images))
    settings = RefinementSettings(batch_size=size, epochs=-(-STEPS * size // len(pool.images)))
    here, there = (_weights(_train(pool, settings, device)) for device in (CPU, setup.device))
    moved = float((here - _weights(RefinementNetwork(settings, 0))).norm())
    return agreement(there, here, 0.02, scale=moved)


def _refined(setup: Setup, pool: Pool) -> Outcome:
    network = RefinementNetwork(RefinementSettings(), 0).eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.nn.init.normal_(network.head.weight)
    images, maps, _ = pool.batch(np.arange(2), np.ones(2, np.int64))
    expected = refine(network, [images], maps.numpy())
    found = refine(network.to(setup.device), [images], maps.numpy())
    return agreement(found, expected, 1e-4)


def _step_time(setup: Setup, size: int) -> Outcome:
    pool = simulated_pool(setup, size, setup.sizes.simulated)
    batch = min(16, len(pool.images))
    settings = RefinementSettings(batch_size=batch, epochs=2)
    _train(pool, settings, setup.device)
    settings = settings.model_copy(update={"epochs": 10})
    with DevicePeak(setup.device) as peak:
        start = time.perf_counter()
        _train(pool, settings, setup.device)
        wait(setup.device)
        seconds = time.perf_counter() - start
    steps = settings.epochs * (len(pool.images) // batch)
    speed = Outcome({"ms": 1000 * seconds / steps, "images": batch})
    return together(speed, peak.beside(None))
