"""Runs on disk: what a batch leaves, and what of it is current.

Below the results' folder, a data set's category has

=====================================================  =============================================
representations/.../<key>/<seed>/                      f and g, shared by runs that differ later on:
    representation.safetensors, snapshots.safetensors  f and g; f as it was along the training
    training.parquet, training.json                    loss an epoch; seconds, memory, machine
runs/.../<recipe>/<seed>/
    memory_bank.safetensors                            the vectors, and which training patches
    scores.parquet                                     a row a test image
    patch_scores.npz                                   of the test images, to draw maps from
    detection.json                                     seconds, memory, machine
    training_scores.npz, training_scores.json          of an ensemble's members: Eq. 11's reference
    replicates.npz                                     the metrics of resampled test images
    metrics.json                                       the metrics, and all records together
=====================================================  =============================================

A step writes its JSON file last, with a fingerprint of what it was made of. What is current is left
as it is, so that a killed batch goes on where it stopped.
"""

import zlib
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from reconpatch.detection import (
    EnsembleMember,
    MemoryBank,
    Scores,
    anomaly_maps,
    represent,
    score_training,
)
from reconpatch.evaluation import evaluate
from reconpatch.features import FeatureStore, Patches
from reconpatch.representation import (
    RepresentationNetwork,
    linear_map,
    load_representation_layer,
    save_representation,
    train,
)
from reconpatch.settings import (
    ExtractionSettings,
    LinearMapSettings,
    Recipe,
    RepresentationSettings,
)
from reconpatch.suites import Run
from reconpatch.utils.files import atomic_write, read_json, write_json
from reconpatch.utils.fingerprint import fingerprint, source_hash
from reconpatch.utils.provenance import Stopwatch, provenance


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
    def folder(self) -> Path:
        """Where the run's own files lie."""
        return self.results / "runs" / self.run.id

    @property
    def representation_folder(self) -> Path:
        """Where f lies, which other runs may share."""
        assert self.run.representation
        place = self.results / "representations" / self.run.dataset / self.run.category
        return place / self.run.representation

    def features(self, settings: ExtractionSettings) -> FeatureStore:
        """The patch features under some settings of this run's category."""
        place = self.results / "features" / self.run.dataset / self.run.category
        return FeatureStore(place / settings.key)

    @cached_property
    def train_features(self) -> FeatureStore:
        """What f and the memory bank are made of."""
        return self.features(self.recipe.train_extraction)

    @cached_property
    def test_features(self) -> FeatureStore:
        """What is scored."""
        return self.features(self.recipe.test_extraction)

    @cached_property
    def representation_fingerprint(self) -> str:
        """What f is made of."""
        settings = self.recipe.representation
        made_of = self.train_features.record["fingerprint"]
        return fingerprint(made_of, settings.key, self.run.seed, source_hash("representation"))

    @cached_property
    def detection_fingerprint(self) -> str:
        """What the scores are made of."""
        made_of = self.test_features.record["fingerprint"]
        settings = self.recipe.detection
        return fingerprint(
            self.representation_fingerprint, made_of, settings.key, source_hash("detection")
        )

    @cached_property
    def evaluation_fingerprint(self) -> str:
        """What the metrics are made of."""
        return fingerprint(self.detection_fingerprint, source_hash("evaluation"))

    @property
    def is_detected(self) -> bool:
        """Whether the scores on disk are current."""
        return is_current(self.folder / "detection.json", self.detection_fingerprint)

    def layer(self) -> nn.Linear | None:
        """Return f, made now if there is none that is current; None for PatchCore.

        Raises:
            InputError: the training fails, or a linear map has no such dimension.
        """
        if self.recipe.pooled:
            return None
        folder = self.representation_folder
        if not is_current(folder / "training.json", self.representation_fingerprint):
            self._make_layer(folder)
        return load_representation_layer(folder / "representation.safetensors")

    def _make_layer(self, folder: Path) -> None:
        settings = self.recipe.representation
        patches = self.train_features.patches("train")
        watch = Stopwatch()
        with watch("training"):
            if isinstance(settings, LinearMapSettings):
                layer = linear_map(patches, settings, self.run.seed)
                save_representation(
                    nn.ModuleDict({"f": layer}), folder / "representation.safetensors"
                )
            elif isinstance(settings, RepresentationSettings):
                self._train(patches, settings, folder)
        record = {
            "fingerprint": self.representation_fingerprint,
            **watch.record(),
            **provenance(self.device),
        }
        write_json(folder / "training.json", record)

    def _train(self, patches: Patches, settings: RepresentationSettings, folder: Path) -> None:
        kept = epochs_to_keep(settings.epochs)
        snapshots: dict[str, Tensor] = {}

        def keep(epoch: int, network: RepresentationNetwork) -> None:
            if epoch in kept:
                for name, tensor in network.f.state_dict().items():
                    snapshots[f"{epoch}.{name}"] = tensor.detach().cpu().clone()

        network, history = train(
            patches,
            settings,
            self.run.seed,
            device=self.device,
            description=f"{self.run.category} training",
            after_epoch=keep,
        )
        save_representation(network, folder / "representation.safetensors")
        with atomic_write(folder / "snapshots.safetensors") as aside:
            save_file(snapshots, aside)
        with atomic_write(folder / "training.parquet") as aside:
            history.to_parquet(aside)

    def represented(self, patches: Patches | Tensor, layer: nn.Linear | None) -> Tensor:
        """Return the features ``(N h w, d)`` of patch features ``(N, h, w, D)``."""
        pooled = self.recipe.pooled.dimension if self.recipe.pooled else None
        return represent(patches, layer, self.device, pooled_dimension=pooled)

    def write_detection(
        self, bank: MemoryBank, indices: Tensor, scores: Scores, record: Any
    ) -> None:
        """Write the memory bank and the test images' scores, and last ``detection.json``."""
        category = self.test_features.category
        with atomic_write(self.folder / "memory_bank.safetensors") as aside:
            save_file({"vectors": bank.vectors.cpu(), "indices": indices}, aside)
        _write_scores(self.folder / "patch_scores.npz", scores)
        table = pd.DataFrame(
            {
                "image": [str(sample.image) for sample in category.test],
                "defect": [sample.defect for sample in category.test],
                "anomalous": [sample.anomalous for sample in category.test],
                "score": scores.images,
            }
        )
        with atomic_write(self.folder / "scores.parquet") as aside:
            table.to_parquet(aside)
        write_json(
            self.folder / "detection.json", {"fingerprint": self.detection_fingerprint, **record}
        )

    def evaluate(self) -> None:
        """Measure the run and write ``metrics.json``, unless that is current."""
        path = self.folder / "metrics.json"
        if is_current(path, self.evaluation_fingerprint):
            return
        scores = read_scores(self.folder / "patch_scores.npz")
        watch = Stopwatch()
        with watch("evaluation"):
            maps = anomaly_maps(scores.patches, self.recipe.features.crop, self.recipe.detection)
            measured, replicates = evaluate_scores(self.test_features, scores.images, maps)
        detection = read_json(self.folder / "detection.json")
        measured["metrics"] |= detection["diagnostics"]
        if detection["diagnostics"]["left_out_spread"] is None:
            measured["reasons"]["left_out_spread"] = "the memory bank is of one image alone"
        for metric, share in self._label_spread().items():
            measured["metrics"][metric] = share
            if share is None:
                measured["reasons"][metric] = "nothing is trained"
        steps: dict[str, Any] = {
            "features": self.test_features.record,
            "detection": detection,
            "evaluation": watch.record(),
        }
        if not self.recipe.pooled:
            steps["training"] = read_json(self.representation_folder / "training.json")
        write_metrics(
            self.run,
            self.folder,
            self.test_features,
            measured,
            replicates,
            steps,
            self.evaluation_fingerprint,
        )

    def _label_spread(self) -> dict[str, float | None]:
        """The shares of pseudo-labels near 0 and near 1 at the training's end."""
        shares = ("labels_near_zero", "labels_near_one")
        if self.recipe.trained is None or self.recipe.trained.epochs == 0:
            return dict.fromkeys(shares)
        history = pd.read_parquet(self.representation_folder / "training.parquet")
        return {share: float(history[share].iloc[-1]) for share in shares}

    def member(self) -> tuple[EnsembleMember, str]:
        """Return the run as an ensemble's member, with a fingerprint; training images scored.

        Those scores are taken now if there are none that are current.
        """
        made_of = fingerprint(self.detection_fingerprint, "training scores")
        path = self.folder / "training_scores.npz"
        if not is_current(path.with_suffix(".json"), made_of):
            tensors = load_file(self.folder / "memory_bank.safetensors")
            patches = self.train_features.patches("train")
            watch = Stopwatch()
            with watch("training scores"):
                scores = score_training(
                    MemoryBank(tensors["vectors"].to(self.device)),
                    tensors["indices"],
                    self.represented(patches, self.layer()),
                    patches.shape[1:3],
                    self.recipe.detection,
                    f"{self.run.category} training scores",
                )
            _write_scores(path, scores)
            record = {"fingerprint": made_of, **watch.record(), **provenance(self.device)}
            write_json(path.with_suffix(".json"), record)
        test = read_scores(self.folder / "patch_scores.npz")
        return EnsembleMember(test=test, training=read_scores(path)), made_of


def evaluate_scores(
    store: FeatureStore, images: Any, maps: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure image scores and maps against a category's labels and masks."""
    category = store.category
    masks = store.masks() if category.has_masks else None
    resampling_seed = zlib.crc32(f"{category.dataset} {category.name}".encode())
    return evaluate(images, _labels(store), maps, masks, resampling_seed)


def write_metrics(
    run: Run,
    folder: Path,
    store: FeatureStore,
    measured: dict[str, Any],
    replicates: dict[str, Any],
    steps: dict[str, Any],
    made_of: str,
) -> None:
    """Write a run's replicates, and last its ``metrics.json`` with all that it rests on."""
    labels = _labels(store)
    with atomic_write(folder / "replicates.npz") as aside, aside.open("wb") as file:
        np.savez(file, **replicates)
    write_json(
        folder / "metrics.json",
        {
            "fingerprint": made_of,
            "dataset": store.category.dataset,
            "category": store.category.name,
            "kind": store.category.kind,
            "method": run.recipe.method,
            "seed": run.seed,
            **measured,
            "test_images": {"normal": int((~labels).sum()), "anomalous": int(labels.sum())},
            "members": [member.id for member in run.members if member != run],
            "recipe_key": run.recipe.key,
            "recipe": run.recipe.model_dump(mode="json"),
            "steps": steps,
        },
    )


def read_scores(path: Path) -> Scores:
    """Return the scores in a file of this module's."""
    with np.load(path) as archive:
        return Scores(images=archive["images"], patches=archive["patches"])


def _write_scores(path: Path, scores: Scores) -> None:
    with atomic_write(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, images=scores.images, patches=scores.patches)


def _labels(store: FeatureStore) -> Any:
    return np.array([sample.anomalous for sample in store.category.test])


def epochs_to_keep(epochs: int) -> set[int]:
    """Return after which epochs of a training a copy of f is kept, to be drawn along the way."""
    return {ceil(share * epochs) for share in (0, 1 / 4, 1 / 2)} - {epochs}


def is_current(record: Path, made_of: str) -> bool:
    """Return whether a step's JSON file is there and tells of what it would be made of today."""
    return record.is_file() and read_json(record).get("fingerprint") == made_of
