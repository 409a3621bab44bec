"""A batch: the runs of an experiment on a category, measured in one process.

What runs share is done once, and what is current is left as it is.
"""

from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from reconpatch.detection import (
    MemoryBank,
    coreset_size,
    fuse,
    score,
    score_training,
    select_coreset,
)
from reconpatch.evaluation import SAMPLE, effective_rank, neighbour_overlap, relative_spread
from reconpatch.refinement import SHIPPED, Textures
from reconpatch.runs.recipe_run import RecipeRun, evaluate_scores, is_current, write_metrics
from reconpatch.runs.refined_run import RefinedRun
from reconpatch.settings import Ensemble, Recipe, Refined
from reconpatch.suites import Batch, Run
from reconpatch.utils.files import read_json, write_json
from reconpatch.utils.fingerprint import fingerprint, source_hash
from reconpatch.utils.provenance import Stopwatch, provenance

NEIGHBOURS, LEFT_OUT = 5, 20
"""Of the diagnostics: k, and how many training images are scored without their own vectors."""


def measure(
    batch: Batch,
    results: Path,
    device: torch.device,
    weights_folder: Path = Path("weights"),
    textures: Textures = SHIPPED,
) -> None:
    """Measure the batch's runs as far as they are not current.

    Runs that share training patches, representation and seed share one training and one selection
    of the coreset: the greedy order makes a smaller coreset the beginning of a larger one.

    Args:
        batch: the runs.
        results: the folder of all results.
        device: where the work is done.
        weights_folder: where local weight files lie, for runs that are refined.
        textures: what fills simulated defects of kind ``texture``; scikit-image's by default.

    Raises:
        InputError: a training fails, or an ensemble's scores cannot be scaled.
    """
    name = f"{batch.category} {batch.experiment}"
    with tqdm(total=len(batch.runs), desc=name, unit="run") as progress:
        single = [
            RecipeRun(run, results, device) for run in batch.runs if isinstance(run.recipe, Recipe)
        ]
        for _, sharing in groupby(sorted(single, key=_shared), key=_shared):
            group = list(sharing)
            _detect([each for each in group if not each.is_detected])
            for each in group:
                each.evaluate()
                progress.update()
        for run in batch.runs:
            if isinstance(run.recipe, Ensemble):
                _measure_ensemble(run, results, device)
                progress.update()
        for run in batch.runs:
            if isinstance(run.recipe, Refined):
                RefinedRun(run, results, device, weights_folder, textures).measure()
                progress.update()


def _shared(run: "RecipeRun") -> tuple[str, str, int]:
    recipe = run.recipe
    return recipe.train_extraction.key, recipe.representation.key, run.run.seed


def _detect(runs: list[RecipeRun]) -> None:
    """Detect for runs that share training patches, representation and seed."""
    if not runs:
        return
    first = runs[0]
    watch = Stopwatch()
    layer = first.layer()
    with watch("representation"):
        features = first.represented(first.train_features.patches("train"), layer)
    sizes = [coreset_size(len(features), run.recipe.detection.coreset_share) for run in runs]
    with watch("coreset"):
        coreset = select_coreset(
            features, max(sizes), first.run.seed, f"{first.run.category} coreset"
        )
    shared = watch.record()["seconds"]
    for run, size in zip(runs, sizes, strict=True):
        _score(run, features, coreset[:size].clone(), layer, shared)


def _score(
    run: RecipeRun,
    features: Tensor,
    indices: Tensor,
    layer: nn.Linear | None,
    shared: dict[str, float],
) -> None:
    """Score the test images by the memory bank of these training features, and write it all."""
    patches = run.test_features.patches("test")
    watch = Stopwatch()
    with watch("scoring"):
        bank = MemoryBank(features[indices.to(features.device)])
        found = run.represented(patches, layer)
        scores = score(bank, found, patches.shape[1:3], run.recipe.detection)
    record = watch.record()
    record["seconds"] = {**shared, **record["seconds"]}
    counts = {
        "training_images": len(run.train_features.patches("train")),
        "training_patches": len(features),
        "memory_bank": len(indices),
        "dimension": features.shape[1],
    }
    diagnostics = _diagnose(run, bank, indices, features)
    record = {"counts": counts, "diagnostics": diagnostics, **record, **provenance(run.device)}
    run.write_detection(bank, indices, scores, record)


def _diagnose(
    run: RecipeRun, bank: MemoryBank, indices: Tensor, features: Tensor
) -> dict[str, float | None]:
    """What tells of the features without labels; the last by images that the bank leaves out."""
    patches = run.train_features.patches("train")
    flat = patches.reshape(-1, patches.shape[-1])
    rows = np.linspace(0, len(flat) - 1, min(SAMPLE, len(flat))).astype(int)
    sample = torch.from_numpy(flat[rows]).float()
    places = patches.shape[1] * patches.shape[2]
    spread = None
    if len((indices // places).unique()) > 1:
        some = features[: LEFT_OUT * places]
        grid, settings = patches.shape[1:3], run.recipe.detection
        spread = relative_spread(score_training(bank, indices, some, grid, settings).images)
    return {
        "effective_rank": effective_rank(features),
        "neighbour_overlap": neighbour_overlap(sample, features[rows].cpu(), NEIGHBOURS),
        "left_out_spread": spread,
    }


def _measure_ensemble(run: Run, results: Path, device: torch.device) -> None:
    """Fuse the members' scores and write the ensemble's ``metrics.json``, unless it is current."""
    assert isinstance(run.recipe, Ensemble)
    members = [RecipeRun(member, results, device) for member in run.members]
    watch = Stopwatch()
    with watch("training scores"):
        read = [member.member() for member in members]
    made_of = fingerprint(
        run.recipe.deviation, *(print_ for _, print_ in read), source_hash("evaluation")
    )
    folder = results / "runs" / run.id
    if is_current(folder / "metrics.json", made_of):
        return
    first = members[0]
    with watch("fusion"):
        images, maps = fuse(
            [member for member, _ in read],
            first.recipe.features.crop,
            first.recipe.detection,
            run.recipe.deviation,
        )
    with watch("evaluation"):
        measured, replicates = evaluate_scores(first.test_features, images, maps)
    steps = {"fusion": {**watch.record(), **provenance(device)}}
    write_metrics(run, folder, first.test_features, measured, replicates, steps, made_of)


def write_manifest(batch: Batch, results: Path) -> None:
    """Write which runs the batch measured, with their metrics, to its file below ``batches``."""
    write_json(
        results / "batches" / f"{batch.id}.json",
        {
            "experiment": batch.experiment,
            "runs": {
                run.id: read_json(results / "runs" / run.id / "metrics.json")["metrics"]
                for run in batch.runs
            },
        },
    )
