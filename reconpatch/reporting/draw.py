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

from reconpatch.detection.represent import represent
from reconpatch.evaluation.bootstrap import interval
from reconpatch.reporting.drawings import (
    diagnostics,
    embedding,
    epochs,
    histogram,
    maps,
    memory,
    ranks,
    refinement,
    sweep,
    tradeoff,
)
from reconpatch.reporting.drawings.style import PANELS, save
from reconpatch.reporting.embedding import embed, sample_patches
from reconpatch.reporting.memory_bank_size import memory_bank_bytes
from reconpatch.reporting.scored_images import ScoredImages
from reconpatch.reporting.table import UNPUBLISHED, Results, table
from reconpatch.runs.recipe_run import RecipeRun
from reconpatch.runs.refined_run import RefinedRun
from reconpatch.settings.composed import Refined
from reconpatch.settings.recipe import Recipe
from reconpatch.suites.cells import RANKED, cells, left_out, panels
from reconpatch.suites.runs import Run
from reconpatch.suites.suite import Suite
from reconpatch.utils.errors import InputError
from reconpatch.utils.record import whole

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

    Raises:
        InputError: there is no such figure, or the suite has nothing to draw in it.
    """
    figures = suite.experiments.figures
    if name not in figures:
        raise InputError(
            f"Suite {suite.name} has no figure {name}; it has {', '.join(figures) or 'none'}."
        )
    if reason := left_out(suite, name):
        raise InputError(f"Suite {suite.name} does not draw {name}: {reason}.")
    drawn = {
        "embedding": _embedding,
        "histogram": _histogram,
        "maps": _maps,
        "memory": _memory,
        "diagnostics": _diagnostics,
        "refinement": _refinement,
        "sweep": _sweep,
        "ranks": _ranks,
        "epochs": _epochs,
        "tradeoff": _tradeoff,
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
        own = run.train_features.patches("train")  # PatchCore's may have other channels.
        return own.reshape(-1, own.shape[-1])[rows][:, None, None]

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
        last = pd.read_parquet(run.representation_folder / "training.parquet")["epoch"].max()
        lines.append({**along, f"after epoch {last}": lines[0][shown]})
    return embedding.draw(lines, positions, (h, w))


def _along_training(folder: Path) -> Iterable[tuple[int, nn.Linear]]:
    """Yield the epochs of which a copy of f was kept, with it."""
    tensors = load_file(whole(folder / "learning.json", "snapshots.safetensors"))
    for epoch in sorted({int(name.split(".")[0]) for name in tensors}):
        weight, bias = tensors[f"{epoch}.weight"], tensors[f"{epoch}.bias"]
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        layer.load_state_dict({"weight": weight, "bias": bias})
        yield epoch, layer


def _histogram(suite: Suite, name: str, results: Path) -> Figure:
    return histogram.draw(
        {
            shown: pd.read_parquet(run.detected("scores.parquet"))
            for shown, run in _runs(suite, name, results)
        }
    )


def _maps(suite: Suite, name: str, results: Path) -> Figure:
    return maps.draw(
        [
            maps.Example(
                category=run.run.category,
                defect=scored.samples[index].defect,
                image=scored.image(index),
                mask=scored.masks[index],
                anomaly_map=scored.maps[index],
                threshold=scored.threshold,
            )
            for _, run in _runs(suite, name, results)
            for scored in [ScoredImages(run)]
            for index in _representative(scored)[: _most(suite, name)]
        ]
    )


def _most(suite: Suite, name: str) -> int:
    """How many test images of a category the figure shows."""
    return 1 if suite.experiments.figures[name].categories else EXAMPLES


def _representative(scored: ScoredImages) -> list[int]:
    """The image of median score of each kind of defect; of those with a visible one, if any."""
    by_defect: dict[str, list[int]] = {}
    for index, sample in enumerate(scored.samples):
        if sample.anomalous and (scored.masks[index].any() or not scored.masks.any()):
            by_defect.setdefault(sample.defect, []).append(index)
    return [
        sorted(indices, key=lambda i: scored.scores.images[i])[len(indices) // 2]
        for indices in by_defect.values()
    ]


def _refinement(suite: Suite, name: str, results: Path) -> Figure:
    examples = []
    for _, place, recipe in panels(suite, name):
        if not isinstance(recipe, Refined):
            continue
        run = RefinedRun(Run(place.dataset, place.category, recipe, suite.seeds[0]), results, CPU)
        scored = ScoredImages(run.members[0])
        chosen = [i for i in _representative(scored) if scored.masks[i].any()]
        chosen = chosen[: _most(suite, name)]
        found = zip(chosen, run.plain(chosen), run.refined(run.trained(), chosen), strict=True)
        examples += [
            refinement.Refinement(
                category=place.category,
                defect=scored.samples[index].defect,
                image=scored.image(index),
                mask=scored.masks[index],
                anomaly_map=plain,
                refined=refined,
            )
            for index, plain, refined in found
        ]
    return refinement.draw(examples)


def _memory(suite: Suite, name: str, results: Path) -> Figure:
    read = Results(results / "runs")
    by_recipe: dict[tuple[str, Recipe], list[RecipeRun]] = {}
    for shown, run in _runs(suite, name, results):
        by_recipe.setdefault((shown, run.recipe), []).append(run)
    points = []
    for (method, _), runs in by_recipe.items():
        records = [record for run in runs if (record := read.record(run.run, "metrics.json"))]
        counts = [record["steps"]["detection"]["counts"] for record in records]
        sizes = [memory_bank_bytes(count["memory_bank"], count["dimension"]) for count in counts]
        for metric in PANELS:
            values = [s["metrics"][metric] for s in records if metric not in s["reasons"]]
            if values:
                resampled = [read.replicates(run.run).get(metric) for run in runs]
                ends = interval(np.mean([r for r in resampled if r is not None], axis=0))
                point = [100 * value for value in (np.mean(values), *ends)]
                points.append((method, metric, np.mean(sizes) / 1e6, *point))
    if not points:
        raise _unmeasured(suite, name)
    columns = ["method", "metric", "megabytes", "value", "low", "high"]
    return memory.draw(pd.DataFrame(points, columns=columns))


def _diagnostics(suite: Suite, name: str, results: Path) -> Figure:
    read = Results(results / "runs")
    records = []
    for shown, place, recipe in panels(suite, name):
        for seed in suite.seeds_of(name):
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


def _ranks(suite: Suite, name: str, results: Path) -> Figure:
    ranked = suite.experiments.figures[name].table
    assert ranked
    tidy = table(suite, ranked, Results(results / "runs"), UNPUBLISHED)
    categories = {cell.row for cell in cells(suite, ranked) if len(cell.places) == 1}
    tidy = tidy[tidy["row"].isin(categories)]
    by_metric = {
        metric: complete
        for metric in PANELS
        for figures in [tidy[tidy["metric"] == metric].dropna(subset=["measured"])]
        for complete in [figures.pivot(index="row", columns="column", values="measured").dropna()]
        if len(complete) >= RANKED and len(complete.columns) > 1
    }
    if not by_metric:
        raise _unmeasured(suite, name)
    return ranks.draw(by_metric)


def _epochs(suite: Suite, name: str, results: Path) -> Figure:
    read = Results(results / "runs")
    points = []
    # A cell of means stands for runs that categories have too.
    for shown, place, recipe in dict.fromkeys(panels(suite, name)):
        for seed in suite.seeds_of(name):
            run = Run(place.dataset, place.category, recipe, seed)
            if record := read.record(run, "metrics.json"):
                along = record["along_the_training"]
                for metric in PANELS:
                    for epoch, value in zip(along["epoch"], along[metric], strict=False):
                        points.append((shown, metric, epoch, 100 * value))
    if not points:
        raise _unmeasured(suite, name)
    columns = ["method", "metric", "epoch", "value"]
    frame = pd.DataFrame(points, columns=columns)
    return epochs.draw(frame.groupby(columns[:3], sort=False)["value"].mean().reset_index())


def _tradeoff(suite: Suite, name: str, results: Path) -> Figure:
    costs = suite.experiments.figures[name].table
    assert costs
    tidy = table(suite, costs, Results(results / "runs"), UNPUBLISHED)
    values = tidy.pivot_table(index="column", columns="metric", values="measured", sort=False)
    complete = values.dropna(subset=["scoring_ms"]) if "scoring_ms" in values else values.iloc[:0]
    if complete.empty:
        raise _unmeasured(suite, name)
    return tradeoff.draw(complete)


def _unmeasured(suite: Suite, name: str) -> InputError:
    return InputError(
        f"No run that {name} draws is measured; measure them with "
        f"snakemake --cores all --config suite={suite.name}"
    )
