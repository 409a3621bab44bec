"""Inference times of measured runs, on disk (Table S6)."""

from pathlib import Path

from reconpatch.features.images import image_batches
from reconpatch.runs.inference_time import ITERATIONS, detector, inference_times
from reconpatch.runs.recipe_run import RecipeRun
from reconpatch.utils.provenance import provenance
from reconpatch.utils.record import write_sealed


def time_inference(runs: list[RecipeRun], weights_folder: Path) -> None:
    """Measure how long a test image takes with each run, and write its ``inference.json``.

    The images are the category's first test images, one at a time.

    Raises:
        InputError: a backbone's weights are not to be had or not those that were used, or a
            representation is damaged.
    """
    for run in runs:
        features = run.recipe.features
        paths = [sample.image for sample in run.test_features.category.test[:ITERATIONS]]
        images = list(image_batches(paths, features, 1, 1))
        backbone = run.test_features.backbone(weights_folder, run.device)
        times = inference_times(detector(run.method(), backbone), images)
        record = {"milliseconds": times, **provenance(run.device)}
        write_sealed(run.folder / "inference.json", record)
