"""Several starts averaged: what the mean of the seeds' scores is worth over one seed's.

``python -m benchmarks.averaged_starts`` reads the finished runs of suite ``gain``'s first table.
For each of its columns it averages the patch scores and image scores of all seeds, and evaluates
these as a run's. A gain over PatchCore's own average is the training's; one over the mean of single
seeds may be any average's. docs/reproduction-study.md says what came of it.
"""

import argparse
from pathlib import Path

import numpy as np
from rich.table import Table
from tqdm import tqdm

from benchmarks.measure import console
from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.features.store import FeatureStore
from reconpatch.runs.evaluation import evaluate_scores
from reconpatch.runs.score_files import read_scores
from reconpatch.suites.cells import cells
from reconpatch.suites.runs import Run
from reconpatch.suites.suite import load_suite
from reconpatch.utils.files import read_json

METRICS = ("image_auroc", "pixel_auroc", "aupro_30")


def averaged(runs: list[Run], store: FeatureStore, results: Path) -> dict[str, float | None]:
    """Return the metrics of the mean of runs' scores, and the same with ``single`` before it.

    Those are the mean of what each run has alone.
    """
    scores = [read_scores(results / "runs" / run.id / "patch_scores.npz") for run in runs]
    images = np.mean([s.images for s in scores], axis=0)
    patches = np.mean([s.patches for s in scores], axis=0)
    recipe = runs[0].recipe
    maps = anomaly_maps(patches, recipe.features.size, recipe.maps)
    together = evaluate_scores(store, images, maps)[0]["metrics"]
    alone = [read_json(results / "runs" / run.id / "metrics.json")["metrics"] for run in runs]
    found = {}
    for metric in METRICS:
        found[metric] = together[metric]
        of_each = [metrics[metric] for metrics in alone]
        found[f"single {metric}"] = None if None in of_each else float(np.mean(of_each))
    return found


def main() -> None:
    """Print a row for each category and column: single seeds, and their average."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    arguments = parser.parse_args()
    suite = load_suite(Path("config/suites/gain.yaml"), arguments.data_root, Path("config"))
    table = Table(title="One seed -> the average of all, percent")
    for name in ("category", "column", *METRICS):
        table.add_column(name, justify="left" if name in ("category", "column") else "right")
    shown = [
        cell
        for cell in cells(suite, "gain1")
        if cell.metric == METRICS[0] and [cell.row] == [place.name for place in cell.places]
    ]
    for cell in tqdm(shown, desc="averages", unit="column"):
        (place,) = cell.places
        runs = [Run(place.dataset, place.category, cell.recipe, seed) for seed in suite.seeds]
        folders = [arguments.results / "runs" / run.id for run in runs]
        if not all((folder / "metrics.json").is_file() for folder in folders):
            continue
        key = runs[0].recipe.test_extraction.key
        store = FeatureStore(arguments.results / "features" / place.dataset / place.category / key)
        found = averaged(runs, store, arguments.results)
        table.add_row(
            cell.row,
            cell.column,
            *(
                "-"
                if found[metric] is None
                else f"{100 * found[f'single {metric}']:.2f} -> {100 * found[metric]:.2f}"
                for metric in METRICS
            ),
        )
    console.print(table)


if __name__ == "__main__":
    main()
