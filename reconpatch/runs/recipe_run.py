"""A recipe's run: its places on disk, what its steps rest on, and its fitted method.

Below the results' folder, a data set's category has

=====================================================  =============================================
representations/.../<key>/<seed>/                      what recipes with equal ``learned`` settings
    representation.safetensors, ...                    share: for ReConPatch f and g, f along the
    learning.json                                      training, loss an epoch; seconds, machine
runs/.../<recipe>/<seed>/
    model.safetensors                                  the fitted method
    scores.parquet                                     a row a test image
    patch_scores.npz                                   of the test images, to draw maps from
    epochs/<epoch>.npz                                 the same at epochs of a training
    checkpoint.pt                                      a training that is under way
    detection.json                                     sizes, seconds, memory, machine
    diagnostics.json                                   what can be watched without defects
    training_scores.npz, training_scores.json          of an ensemble's members: Eq. 11's reference
    replicates.npz                                     the metrics of resampled test images
    metrics.json                                       the metrics, and all records together
=====================================================  =============================================

A step writes its record, a JSON file, last, with a fingerprint of what it was made of. What is
current is left as it is, so that a killed batch goes on where it stopped.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from reconpatch.detection.ensemble import EnsembleMember
from reconpatch.features.store import FeatureStore
from reconpatch.methods.method import Method, TrainingSet
from reconpatch.methods.registry import METHODS
from reconpatch.runs.score_files import read_scores, write_scores
from reconpatch.settings.features import ExtractionSettings
from reconpatch.settings.recipe import Recipe
from reconpatch.suites.runs import Run
from reconpatch.utils.fingerprint import code_fingerprint, fingerprint
from reconpatch.utils.provenance import Stopwatch, provenance
from reconpatch.utils.record import is_current, whole, write_record
from reconpatch.utils.steps import DEVICES, STEPS


@dataclass(frozen=True)
class RecipeRun:
    """A recipe's run with its places on disk, and its steps."""

    run: Run
    results: Path
    device: torch.device

    @property
    def recipe(self) -> Recipe:
        """The run's recipe."""
        assert isinstance(self.run.recipe, Recipe)
        return self.run.recipe

    @property
    def method_class(self) -> type[Method[Any]]:
        """The method that the recipe is of."""
        return METHODS[self.recipe.method]

    @property
    def folder(self) -> Path:
        """Where the run's own files lie."""
        return self.results / "runs" / self.run.id

    @property
    def representation_folder(self) -> Path | None:
        """Where the representation lies, which other runs may share; None where there is none."""
        if self.run.representation is None:
            return None
        place = self.results / "representations" / self.run.dataset / self.run.category
        return place / self.run.representation

    def features(self, settings: ExtractionSettings) -> FeatureStore:
        """Return the patch features under some settings of this run's category."""
        place = self.results / "features" / self.run.dataset / self.run.category
        return FeatureStore(place / settings.key)

    @cached_property
    def train_features(self) -> FeatureStore:
        """What the method is fitted on."""
        return self.features(self.recipe.train_extraction)

    @cached_property
    def test_features(self) -> FeatureStore:
        """What is scored."""
        return self.features(self.recipe.test_extraction)

    @property
    def training_set(self) -> TrainingSet:
        """The training images as the method reads them."""
        return TrainingSet(self.train_features.read("train"), self.run.seed, self.run.category)

    @cached_property
    def representation_fingerprint(self) -> str:
        """What the representation is made of."""
        features = self.train_features.record["fingerprint"]
        if self.recipe.learned is None:
            return str(features)
        learner = self.method_class.learner
        assert learner
        code = code_fingerprint(learner, DEVICES)
        return fingerprint(features, self.recipe.learned.key, self.run.seed, code)

    @cached_property
    def detection_fingerprint(self) -> str:
        """What the fitted method and its scores are made of."""
        own = self.recipe.model_dump(mode="json", exclude={"features", "augmentation", "maps"})
        code = code_fingerprint(self.method_class.__module__, DEVICES)
        return fingerprint(
            self.representation_fingerprint,
            self.test_features.record["fingerprint"],
            json.dumps(own),
            self.run.seed,
            code,
        )

    @cached_property
    def diagnostics_fingerprint(self) -> str:
        """What the diagnostics are made of."""
        return fingerprint(self.detection_fingerprint, code_fingerprint(*STEPS["diagnose"]))

    @cached_property
    def evaluation_fingerprint(self) -> str:
        """What the metrics are made of."""
        code = code_fingerprint(*STEPS["evaluate"])
        return fingerprint(self.diagnostics_fingerprint, self.recipe.maps.key, code)

    @property
    def epoch_scores(self) -> dict[int, Path]:
        """Where the scores of the test images lie at epochs of the method's training, in turn.

        After the last epoch they are the fitted method's own.
        """
        epochs = self.method_class.scored_epochs(self.recipe)
        places = {epoch: self.folder / "epochs" / f"{epoch}.npz" for epoch in epochs[:-1]}
        return {**places, **dict.fromkeys(epochs[-1:], self.folder / "patch_scores.npz")}

    @property
    def is_detected(self) -> bool:
        """Whether the fitted method and its scores on disk are current."""
        return is_current(self.folder / "detection.json", self.detection_fingerprint)

    def detected(self, name: str) -> Path:
        """Return the path of one of the files that the detection left.

        Raises:
            InputError: it is missing or damaged.
        """
        return whole(self.folder / "detection.json", name)

    def new_method(self) -> Method[Any]:
        """Return the method, not yet fitted; it can represent patch features.

        Raises:
            InputError: its representation is damaged.
        """
        if folder := self.representation_folder:
            whole(folder / "learning.json", "representation.safetensors")
        return self.method_class(self.recipe, self.device, self.representation_folder)

    def method(self) -> Method[Any]:
        """Return the method as it was fitted.

        Raises:
            InputError: its representation is damaged, or the method itself.
        """
        method = self.new_method()
        method.load(load_file(self.detected("model.safetensors")))
        return method

    def member(self) -> tuple[EnsembleMember, str]:
        """Return the run as an ensemble's member, with a fingerprint; training images scored.

        Those scores are taken now if there are none that are current.

        Raises:
            InputError: the method has no scores of its training images.
        """
        made_of = fingerprint(self.detection_fingerprint, "training scores")
        path = self.folder / "training_scores.npz"
        record = path.with_suffix(".json")
        if not is_current(record, made_of):
            watch = Stopwatch()
            with watch("training scores"):
                scores = self.method().score_training(self.training_set)
            write_scores(path, scores)
            write_record(
                record, made_of, {**watch.record(), **provenance(self.device)}, [path.name]
            )
        test = read_scores(self.detected("patch_scores.npz"))
        return EnsembleMember(test=test, training=read_scores(path)), made_of
