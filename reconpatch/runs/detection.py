"""The step that fits methods and scores the test images (Eqs. 9-10)."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from safetensors.torch import save_file

from reconpatch.methods.by_epochs import EpochMethod, EpochRecipe
from reconpatch.methods.method import Method, TrainingSet
from reconpatch.runs.score_files import write_scores
from reconpatch.utils.epochs import Checkpoint
from reconpatch.utils.files import atomic_write
from reconpatch.utils.provenance import Stopwatch, provenance
from reconpatch.utils.record import write_record

if TYPE_CHECKING:
    from reconpatch.detection.scores import Scores
    from reconpatch.runs.recipe_run import RecipeRun

KEPT = 600.0
"""Seconds of a training between two checkpoints; one that is over sooner leaves none."""


def detect(runs: "Sequence[RecipeRun]") -> "Iterator[tuple[RecipeRun, Method[Any]]]":
    """Fit and score runs that share training set, method, representation and seed.

    Yields each run with its fitted method, once its files are written.

    Raises:
        InputError: a method cannot be fitted.
    """
    if not runs:
        return
    first = runs[0]
    training = first.training_set
    fitted = first.method_class.fit_all(
        [run.recipe for run in runs], training, first.device, first.representation_folder
    )
    for run in runs:
        watch = Stopwatch()
        if issubclass(run.method_class, EpochMethod):
            method: Method[Any] = _trained(run, training, watch)
        else:
            with watch("fit"):
                method = next(fitted)
        with watch("scoring"):
            scores = method.score(run.test_features.read("test"))
        images, h, w = training.patches.shape[:3]
        counts = {
            "training_images": images,
            "training_patches": images * h * w,
            "model_bytes": sum(tensor.nbytes for tensor in method.tensors().values()),
            **method.counts(),
        }
        record = {"counts": counts, **watch.record(), **provenance(run.device)}
        _write(run, method, scores, record)
        yield run, method


def _trained(run: "RecipeRun", training: TrainingSet, watch: Stopwatch) -> EpochMethod[EpochRecipe]:
    """Train a method, and score the test images at some epochs besides the last."""
    method = run.new_method()
    assert isinstance(method, EpochMethod)
    scored = run.epoch_scores
    checkpoint = Checkpoint(run.folder / "checkpoint.pt", run.detection_fingerprint, KEPT)
    epochs = method.fit_epochs(training, checkpoint)
    test = run.test_features.read("test")
    while True:
        with watch("method training"):
            epoch = next(epochs, None)
        if epoch is None:
            return method
        if epoch in scored and epoch < method.recipe.epochs:
            with watch("scoring along the training"):
                write_scores(scored[epoch], method.score(test))


def _write(run: "RecipeRun", method: Method[Any], scores: "Scores", record: dict[str, Any]) -> None:
    """Write the fitted method and the test images' scores, and last ``detection.json``."""
    with atomic_write(run.folder / "model.safetensors") as aside:
        save_file(method.tensors(), aside)
    write_scores(run.folder / "patch_scores.npz", scores)
    test = run.test_features.category.test
    table = pd.DataFrame(
        {
            "image": [str(sample.image) for sample in test],
            "defect": [sample.defect for sample in test],
            "anomalous": [sample.anomalous for sample in test],
            "score": scores.images,
        }
    )
    with atomic_write(run.folder / "scores.parquet") as aside:
        table.to_parquet(aside)
    along = (str(path.relative_to(run.folder)) for path in run.epoch_scores.values())
    files = ("model.safetensors", "patch_scores.npz", "scores.parquet", *along)
    write_record(run.folder / "detection.json", run.detection_fingerprint, record, files)
    (run.folder / "checkpoint.pt").unlink(missing_ok=True)
