"""A figure of the paper, drawn from a suite's runs."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from matplotlib.figure import Figure
from safetensors.torch import load_file
from torch import Tensor, nn

from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.detection.represent import represent
from reconpatch.detection.scores import Scores
from reconpatch.evaluation.bootstrap import interval
from reconpatch.features.images import image_batches
from reconpatch.reporting.drawings import (
    diagnostics,
    embedding,
    histogram,
    maps,
    memory,
    refinement,
    sweep,
)
from reconpatch.reporting.drawings.style import save
from reconpatch.reporting.embedding import embed, sample_patches
from reconpatch.reporting.memory_bank_size import memory_bank_bytes
from reconpatch.reporting.table import UNPUBLISHED, Results, table
from reconpatch.reporting.threshold import best_f1_threshold
from reconpatch.runs.recipe_run import RecipeRun
from reconpatch.runs.refined_run import RefinedRun
from reconpatch.runs.score_files import read_scores
from reconpatch.settings.composed import Refined
from reconpatch.settings.recipe import Recipe
from reconpatch.suites.cells import cells, panels
from reconpatch.suites.runs import Run
from reconpatch.suites.suite import Suite
from reconpatch.utils.errors import InputError

CPU = torch.device("cpu")
EMBEDDED = 2000
"""Patches of a UMAP panel: more would lie on top of each other."""
EXAMPLES = 3
"""Test images that a category shows at most, one a kind of defect, unless it shows one alone."""
DIAGNOSTICS = {
    "effective_rank": "Effective rank",
    "neighbour_overlap": "Neighbours kept",
    "left_out_spread": "Spread of left-out\nnormal scores",
    "labels_near_zero": "Pseudo-labels near 0",
}


def write_figure(suite: Suite, name: str, results: Path, folder: Path) -> None:
    """Draw a figure to ``folder/<name>.svg`` and ``.png``; what shows images, of the first seed.

    Args:
        suite: which categories and recipes.
        name: the figure's name, such as ``figure3``.
        results: the folder of all results; the runs' are there.
        folder: where the figure goes.

    Raises:
        InputError: there is no such figure, or the suite has nothing to draw in it.
    """
    figures = suite.experiments.figures
    if name not in figures:
        raise InputError(
            f"Suite {suite.name} has no figure {name}; it has {', '.join(figures) or 'none'}."
        )
    if not panels(suite, name):
        raise InputError(
            f"Suite {suite.name} has no data set or no model for {name}, which therefore is not "
            "drawn."
        )
    drawn = {
        "embedding": _embedding,
        "histogram": _histogram,
        "maps": _maps,
        "memory": _memory,
        "diagnostics": _diagnostics,
        "refinement": _refinement,
        "sweep": _sweep,
    }[figures[name].draws](suite, name, results)
    folder.mkdir(parents=True, exist_ok=True)
    save(drawn, folder / name)


def _runs(suite: Suite, name: str, results: Path) -> list[tuple[str, RecipeRun]]:
    """What the figure draws, by the names that it gives them."""
    return [
        (shown, RecipeRun(Run(p.dataset, p.category, recipe, suite.seeds[0]), results, CPU))
        for shown, p, recipe in panels(suite, name)
        if isinstance(recipe, Recipe)
    ]


def _embedding(suite: Suite, name: str, results: Path) -> Figure:
    runs = _runs(suite, name, results)
    patches = runs[0][1].train_features.patches("train")
    images, h, w, _ = patches.shape
    rows, positions = sample_patches(images, h, w, EMBEDDED, suite.seeds[0])

    def drawn(run: RecipeRun) -> npt.NDArray[np.floating]:
        flat = run.train_features.patches("train").reshape(-1, patches.shape[-1])
        return flat[rows][:, None, None]

    def coordinates(features: Tensor) -> npt.NDArray[np.float32]:
        return embed(features.numpy(), suite.seeds[0])

    lines = [{shown: coordinates(run.new_method().represent(drawn(run))) for shown, run in runs}]
    if suite.experiments.figures[name].along_training:
        shown, run = runs[-1]
        assert run.representation_folder
        along = {
            "untrained" if epoch == 0 else f"after epoch {epoch}": coordinates(
                represent(drawn(run), layer, CPU)
            )
            for epoch, layer in _along_training(run.representation_folder)
        }
        epochs = pd.read_parquet(run.representation_folder / "training.parquet")["epoch"].max()
        lines.append({**along, f"after epoch {epochs}": lines[0][shown]})
    return embedding.draw(lines, positions, (h, w))


def _along_training(folder: Path) -> Iterable[tuple[int, nn.Linear]]:
    """Yield the epochs of which a copy of f was kept, with it."""
    tensors = load_file(folder / "snapshots.safetensors")
    for epoch in sorted({int(name.split(".")[0]) for name in tensors}):
        weight, bias = tensors[f"{epoch}.weight"], tensors[f"{epoch}.bias"]
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        layer.load_state_dict({"weight": weight, "bias": bias})
        yield epoch, layer


def _histogram(suite: Suite, name: str, results: Path) -> Figure:
    return histogram.draw(
        {
            shown: pd.read_parquet(run.folder / "scores.parquet")
            for shown, run in _runs(suite, name, results)
        }
    )


def _maps(suite: Suite, name: str, results: Path) -> Figure:
    most = 1 if suite.experiments.figures[name].categories else EXAMPLES
    return maps.draw(
        [example for _, run in _runs(suite, name, results) for example in _examples(run, most)]
    )


def _examples(run: RecipeRun, most: int) -> list[maps.Example]:
    """Test images with defects, the one of median score among each kind of defect.

    Where the category has no masks, the threshold is that of the best F1 over whole images.
    """
    store = run.test_features
    category, features = store.category, run.recipe.features
    scores = read_scores(run.folder / "patch_scores.npz")
    masks = store.masks()
    anomaly = anomaly_maps(scores.patches, features.crop, run.recipe.maps)
    if masks.any():
        threshold = best_f1_threshold(anomaly, masks)
    else:
        anomalous = np.array([sample.anomalous for sample in category.test])
        threshold = best_f1_threshold(scores.images, anomalous)
    found = []
    for index in _representative(run, scores, masks)[:most]:
        sample = category.test[index]
        (image,) = image_batches([sample.image], features, 1, 1)
        found.append(
            maps.Example(
                category=category.name,
                defect=sample.defect,
                image=image[0].permute(1, 2, 0).numpy(),
                mask=masks[index],
                anomaly_map=anomaly[index],
                threshold=threshold,
            )
        )
    return found


def _representative(run: RecipeRun, scores: Scores, masks: npt.NDArray[np.bool_]) -> list[int]:
    """The image of median score of each kind of defect; of those with a visible one, if any."""
    by_defect: dict[str, list[int]] = {}
    for index, sample in enumerate(run.test_features.category.test):
        if sample.anomalous and (masks[index].any() or not masks.any()):
            by_defect.setdefault(sample.defect, []).append(index)
    return [
        sorted(indices, key=lambda i: scores.images[i])[len(indices) // 2]
        for indices in by_defect.values()
    ]


def _refinement(suite: Suite, name: str, results: Path) -> Figure:
    most = 1 if suite.experiments.figures[name].categories else EXAMPLES
    return refinement.draw(
        [
            example
            for _, place, recipe in panels(suite, name)
            if isinstance(recipe, Refined)
            for example in _refined(
                RefinedRun(
                    Run(place.dataset, place.category, recipe, suite.seeds[0]), results, CPU
                ),
                most,
            )
        ]
    )


def _refined(run: RefinedRun, most: int) -> list[refinement.Refinement]:
    """Test images with visible defects and their maps, the one of median score of each kind."""
    first = run.members[0]
    store = first.test_features
    masks = store.masks()
    scores = read_scores(first.folder / "patch_scores.npz")
    chosen = [i for i in _representative(first, scores, masks) if masks[i].any()][:most]
    samples = [store.category.test[index] for index in chosen]
    return [
        refinement.Refinement(
            category=store.category.name,
            defect=sample.defect,
            image=image,
            mask=masks[index],
            plain=plain,
            refined=refined,
        )
        for index, sample, image, plain, refined in zip(
            chosen,
            samples,
            (image.permute(1, 2, 0).numpy() for b in run.test_images(chosen) for image in b),
            run.plain(chosen),
            run.refined(run.trained(), chosen),
            strict=True,
        )
    ]


def _memory(suite: Suite, name: str, results: Path) -> Figure:
    read = Results(results / "runs")
    points = []
    by_recipe: dict[tuple[str, str], list[RecipeRun]] = {}
    for shown, run in _runs(suite, name, results):
        by_recipe.setdefault((shown, run.recipe.key), []).append(run)
    for (method, _), runs in by_recipe.items():
        records = [record for run in runs if (record := read.record(run.run, "metrics.json"))]
        counts = [record["steps"]["detection"]["counts"] for record in records]
        sizes = [memory_bank_bytes(c["memory_bank"], c["dimension"]) for c in counts]
        for metric in ("image_auroc", "pixel_auroc"):
            values = [s["metrics"][metric] for s in records if metric not in s["reasons"]]
            if not values:
                continue
            replicates = [read.replicates(run.run) for run in runs]
            low, high = interval(np.mean([r[metric] for r in replicates if metric in r], axis=0))
            points.append(
                {
                    "method": method,
                    "metric": metric,
                    "megabytes": np.mean(sizes) / 1e6,
                    "value": 100 * np.mean(values),
                    "low": 100 * low,
                    "high": 100 * high,
                }
            )
    if not points:
        raise _unmeasured(suite, name)
    return memory.draw(pd.DataFrame(points))


def _diagnostics(suite: Suite, name: str, results: Path) -> Figure:
    read = Results(results / "runs")
    records = []
    for shown, place, recipe in panels(suite, name):
        for seed in suite.seeds:
            if record := read.record(
                Run(place.dataset, place.category, recipe, seed), "metrics.json"
            ):
                records.append({"map": shown, "category": place.name, **record["metrics"]})
    if not records:
        raise _unmeasured(suite, name)
    columns = ["image_auroc", *DIAGNOSTICS]
    points = pd.DataFrame(records, columns=["map", "category", *columns])
    means = points.astype(dict.fromkeys(columns, float)).groupby(["map", "category"], sort=False)
    points = means[columns].mean().reset_index()
    return diagnostics.draw(points.assign(image_auroc=100 * points["image_auroc"]), DIAGNOSTICS)


def _sweep(suite: Suite, name: str, results: Path) -> Figure:
    swept = suite.experiments.figures[name].table
    assert swept
    experiment = suite.experiments.tables[swept]
    own = suite.recipe_of(experiment.model, experiment.method, experiment.recipe)
    ours = {(c.row, c.column, c.metric) for c in cells(suite, swept) if c.recipe == own}
    points = table(suite, swept, Results(results / "runs"), UNPUBLISHED)
    points = points.rename(columns={"column": "value"}).dropna(subset=["measured"])
    if points.empty:
        raise _unmeasured(suite, name)
    named = points[["row", "value", "metric"]].itertuples(index=False, name=None)
    return sweep.draw(points.assign(own=[name in ours for name in named]))


def _unmeasured(suite: Suite, name: str) -> InputError:
    return InputError(
        f"No run that {name} draws is measured; measure them with "
        f"snakemake --cores all --config suite={suite.name}"
    )
