"""Coreset, search, scores, maps, z-scores and diagnostics: the CPU's beside the GPU's."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, Literal, NamedTuple

import faiss
import numpy as np
import torch
from torch import Tensor

from benchmarks.data import clusters
from benchmarks.gpu_check.check import Check, Outcome
from benchmarks.gpu_check.compare import agreement, choices, together, worst
from benchmarks.gpu_check.setup import CPU, Patches, Setup
from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.detection.coreset import coreset_size, select_coreset
from reconpatch.detection.ensemble import EnsembleMember, fuse, modified_z_score
from reconpatch.detection.memory_bank import MemoryBank
from reconpatch.detection.scores import Scores
from reconpatch.methods.method import TrainingSet
from reconpatch.methods.patchcore import PatchCore, PatchCoreDetectionSettings, PatchCoreRecipe
from reconpatch.runs.diagnosis import diagnostics
from reconpatch.settings.detection import MapSettings

Reweighting = Literal["every_patch", "top_patch", "none"]
SHARE, NEIGHBOURS = 0.01, 9
EVERY = 20
"""Which patches the bank has that both devices score by."""

ALLOWED = 1e-4
RADIUS = 0.01
"""By how much the coverings of two coresets may differ: a near tie may send them separate ways."""


class Detected(NamedTuple):
    """What a device makes of the same training and test patches with the same memory bank."""

    method: PatchCore
    training: TrainingSet
    test: Scores
    own: Scores


def checks(setup: Setup) -> Iterator[Check]:
    """Compare each step of detection, the bank being the CPU's own on both devices."""
    on = cache(partial(_detected, setup, "every_patch"))
    yield Check(f"coreset of {setup.sizes.compared.places:,}, 1 %", partial(_coreset, setup))
    yield Check("nearest neighbours", partial(_search, setup))
    yield Check("nearest neighbours by faiss-gpu", partial(_faiss, setup))
    yield Check("scores, none re-weighted", partial(_scores, setup, "none"))
    yield Check("scores, the top patch re-weighted", partial(_scores, setup, "top_patch"))
    yield Check(
        "scores, every patch re-weighted", lambda: _alike(on(setup.device).test, on(CPU).test)
    )
    yield Check("training scores", lambda: _alike(on(setup.device).own, on(CPU).own))
    yield Check("scores without an image's own vectors", lambda: _left_out(setup, on))
    yield Check("anomaly maps", lambda: agreement(_maps(on(setup.device)), _maps(on(CPU)), ALLOWED))
    yield Check("z-scores", lambda: agreement(_z(on(setup.device)), _z(on(CPU)), ALLOWED))
    yield Check("maps of an ensemble", lambda: _fused(on(setup.device), on(CPU)))
    yield Check("diagnostics", lambda: _diagnostics(on(setup.device), on(CPU)))


def drawn(patches: Patches, seed: int, device: torch.device = CPU) -> Tensor:
    """Return patch features ``(N, h, w, D)``, the patches in random order."""
    flat = clusters(patches.places, patches.dimension, seed, device)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(flat))).to(device)
    return flat[order].view(patches.images, patches.side, patches.side, patches.dimension)


def recipe(reweighting: Reweighting = "every_patch") -> PatchCoreRecipe:
    """Return PatchCore's recipe at the checks' share and number of neighbours."""
    settings = PatchCoreDetectionSettings(
        coreset_share=SHARE, reweighting_neighbours=NEIGHBOURS, reweighting=reweighting
    )
    return PatchCore.Recipe(detection=settings)


def _coreset(setup: Setup) -> Outcome:
    features = drawn(setup.sizes.compared, 0).flatten(0, 2)
    count = coreset_size(len(features), SHARE)
    expected = select_coreset(features, count, 0)
    found = select_coreset(features.to(setup.device), count, 0).cpu()
    radii = [
        float(MemoryBank(features[some]).nearest(features)[0].max()) for some in (found, expected)
    ]
    equal = len(set(found.tolist()) & set(expected.tolist())) / count
    values = {"equal_share": equal, "same_place": float((found == expected).double().mean())}
    covering = agreement(radii[0], radii[1], RADIUS)
    problem = covering.problem and f"the largest distance from the coreset: {covering.problem}"
    return Outcome({**covering.values, **values}, problem)


def _queries(setup: Setup) -> tuple[Tensor, Tensor]:
    """A bank's vectors, and queries of the same clusters."""
    features = drawn(setup.sizes.scored, 0).flatten(0, 2)
    return features[::EVERY], features[1::EVERY]


def _search(setup: Setup) -> Outcome:
    vectors, queries = _queries(setup)
    here, there = MemoryBank(vectors), MemoryBank(vectors.to(setup.device))
    moved = queries.to(setup.device)
    (distances, _), (cpu_distances, _) = there.nearest(moved), here.nearest(queries)
    return together(
        agreement(distances, cpu_distances, 1e-5),
        choices(there.neighbours(moved, NEIGHBOURS), here.neighbours(queries, NEIGHBOURS), 0.999),
    )


def _faiss(setup: Setup) -> Outcome:
    if not hasattr(faiss, "StandardGpuResources"):
        return Outcome(skipped="faiss-gpu is not installed: matrix products search")
    from reconpatch.detection.memory_bank import _Faiss, _Products

    vectors, queries = (part.to(setup.device) for part in _queries(setup))
    by_faiss, by_products = (
        kind(vectors).search(queries, NEIGHBOURS) for kind in (_Faiss, _Products)
    )
    return choices(by_faiss, by_products, 0.999)


def _detected(setup: Setup, reweighting: Reweighting, device: torch.device) -> Detected:
    sizes = setup.sizes.scored
    training = TrainingSet(drawn(sizes, 0).numpy(), 0, "drawn")
    indices = torch.arange(0, sizes.places, EVERY)
    vectors = torch.from_numpy(training.patches).flatten(0, 2)[indices]
    method = PatchCore(recipe(reweighting), device)
    method.load({"vectors": vectors, "indices": indices})
    return Detected(
        method, training, method.score(drawn(sizes, 2).numpy()), method.score_training(training)
    )


def _scores(setup: Setup, reweighting: Reweighting) -> Outcome:
    found, expected = (_detected(setup, reweighting, device).test for device in (setup.device, CPU))
    return _alike(found, expected)


def _alike(found: Scores, expected: Scores) -> Outcome:
    return worst(
        [
            agreement(found.images, expected.images, ALLOWED),
            agreement(found.patches, expected.patches, ALLOWED),
        ]
    )


def _left_out(setup: Setup, on: Callable[[torch.device], Detected]) -> Outcome:
    patches = drawn(setup.sizes.scored, 3).numpy()[:2]
    found, expected = (
        on(device).method.score_left_out(patches, 1) for device in (setup.device, CPU)
    )
    return _alike(found, expected)


def _maps(detected: Detected) -> Any:
    patches = detected.test.patches
    return anomaly_maps(patches, 8 * patches.shape[1], MapSettings())


def _z(detected: Detected) -> Any:
    return modified_z_score(detected.test.patches, detected.own.patches)


def _fused(there: Detected, here: Detected) -> Outcome:
    size = 8 * there.test.patches.shape[1]
    (images, maps), (cpu_images, cpu_maps) = (
        fuse([EnsembleMember(one.test, one.own)] * 2, size, MapSettings()) for one in (there, here)
    )
    return worst([agreement(images, cpu_images, ALLOWED), agreement(maps, cpu_maps, ALLOWED)])


def _diagnostics(there: Detected, here: Detected) -> Outcome:
    found, expected = (diagnostics(one.method, one.training)[0] for one in (there, here))
    kept = [name for name, value in expected.items() if value is not None]
    return worst(agreement(found[name] or 0.0, expected[name] or 0.0, 1e-3) for name in kept)
