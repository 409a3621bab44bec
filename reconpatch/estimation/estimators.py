"""The estimators: one for each registered method that inspects; linear maps are controls."""

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from reconpatch.detection.scores import Scores
from reconpatch.estimation.detector import Detector
from reconpatch.estimation.model_folder import read_record
from reconpatch.features.layer_maps import taken
from reconpatch.methods import (
    cfa,
    cflow,
    fastflow,
    mh_patchcore,
    padim,
    patchcore,
    pni,
    rd4ad,
    reconpatch,
    spade,
)
from reconpatch.methods.method import Method, TrainingSet
from reconpatch.utils.errors import InputError


class _WithBank(Detector):
    """A detector with a memory bank.

    Args:
        coreset_share: the share of training patches that the memory bank keeps.
        parameters: ``Detector``'s.
    """

    def __init__(
        self,
        *,
        coreset_share: float = 0.01,
        backbone: str = "efficientnet_lite0",
        size: int = 224,
        resize_to: str = "square",
        crop: int | None = None,
        seed: int = 0,
        false_alarm_rate: float = 0.05,
        device: str = "auto",
        threads: int = 2,
        weights: str | PathLike[str] = "weights",
    ) -> None:
        super().__init__(
            backbone=backbone,
            size=size,
            resize_to=resize_to,
            crop=crop,
            seed=seed,
            false_alarm_rate=false_alarm_rate,
            device=device,
            threads=threads,
            weights=weights,
        )
        self.coreset_share = coreset_share

    def _settings(self) -> dict[str, Any]:
        return {"detection": {"coreset_share": self.coreset_share}}


class PatchCore(_WithBank):
    """PatchCore: distances to a coreset of patch features; see ``Detector`` for parameters.

    ``coreset_share`` is the share of training patches that are kept.
    """

    method = patchcore.PatchCore


class MHPatchcore(_WithBank):
    """MHPatchcore: a coreset of whitened principal components; see ``Detector`` for parameters.

    ``coreset_share`` is the share of training patches that are kept.
    """

    method = mh_patchcore.MHPatchcore


class ReConPatch(_WithBank):
    """ReConPatch: a coreset of patch features behind a trained linear layer.

    Args:
        epochs: how often the training goes over all patches.
        learning_rate: where its cosine starts; it suits few epochs (the paper's is 1e-5 for 120).
        dimension: of the layer's output.
        batch_size: patches of a mini-batch.
        coreset_share: the share of training patches that are kept.
        backbone: this and all others as in ``Detector``.
    """

    method = reconpatch.ReConPatch

    def __init__(
        self,
        *,
        epochs: int = 3,
        learning_rate: float = 1e-3,
        dimension: int = 512,
        batch_size: int = 1024,
        coreset_share: float = 0.01,
        backbone: str = "efficientnet_lite0",
        size: int = 224,
        resize_to: str = "square",
        crop: int | None = None,
        seed: int = 0,
        false_alarm_rate: float = 0.05,
        device: str = "auto",
        threads: int = 2,
        weights: str | PathLike[str] = "weights",
    ) -> None:
        super().__init__(
            coreset_share=coreset_share,
            backbone=backbone,
            size=size,
            resize_to=resize_to,
            crop=crop,
            seed=seed,
            false_alarm_rate=false_alarm_rate,
            device=device,
            threads=threads,
            weights=weights,
        )
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.dimension = dimension
        self.batch_size = batch_size

    def _settings(self) -> dict[str, Any]:
        names = ("epochs", "learning_rate", "dimension", "batch_size")
        own = {name: getattr(self, name) for name in names}
        return {**super()._settings(), "representation": own}


class PaDiM(Detector):
    """PaDiM: a Gaussian at every place of the image; see ``Detector`` for parameters."""

    method = padim.PaDiM


class SPADE(Detector):
    """SPADE: distances to the most similar training images; see ``Detector`` for parameters."""

    method = spade.SPADE


class _Trained(Detector):
    """A detector whose networks train by epochs.

    Such a method cannot score an image as if it had not been trained on it. So a share of the
    images is held out, and the thresholds come from those.

    Args:
        epochs: of the training; None has the method's default, which suits a GPU.
        held_out: the share of images that are not trained on.
        parameters: ``Detector``'s.
    """

    def __init__(
        self,
        *,
        epochs: int | None = None,
        held_out: float = 0.2,
        backbone: str = "efficientnet_lite0",
        size: int = 224,
        resize_to: str = "square",
        crop: int | None = None,
        seed: int = 0,
        false_alarm_rate: float = 0.05,
        device: str = "auto",
        threads: int = 2,
        weights: str | PathLike[str] = "weights",
    ) -> None:
        super().__init__(
            backbone=backbone,
            size=size,
            resize_to=resize_to,
            crop=crop,
            seed=seed,
            false_alarm_rate=false_alarm_rate,
            device=device,
            threads=threads,
            weights=weights,
        )
        self.epochs = epochs
        self.held_out = held_out

    def _settings(self) -> dict[str, Any]:
        return {} if self.epochs is None else {"epochs": self.epochs}

    def _fit(self, method: Method[Any], patches: Any) -> Scores:
        count = round(self.held_out * len(patches)) if 0 < self.held_out < 1 else 0
        if not 0 < count < len(patches):
            raise InputError(
                f"held_out {self.held_out} of {len(patches)} images holds out {count}; it must "
                "leave one or more to train on, and hold out one or more for the threshold."
            )
        order = np.random.default_rng(self.seed).permutation(len(patches))
        held_out, kept = (np.sort(rows) for rows in np.split(order, [count]))
        method.fit(TrainingSet(taken(patches, kept), self.seed, "images"))
        return method.score(taken(patches, held_out))


class CFA(_Trained):
    """CFA: distances to a memory bank in a space trained for it; see ``_Trained``."""

    method = cfa.CFA


class CFLOW(_Trained):
    """CFLOW-AD: likelihoods by conditional normalising flows; see ``_Trained``."""

    method = cflow.CFLOW


class FastFlow(_Trained):
    """FastFlow: likelihoods by two-dimensional normalising flows; see ``_Trained``."""

    method = fastflow.FastFlow


class PNI(_Trained):
    """PNI: likelihoods by position and neighbourhood; see ``_Trained``."""

    method = pni.PNI


class RD4AD(_Trained):
    """RD4AD: how far a decoder's maps are from the backbone's; see ``_Trained``."""

    method = rd4ad.RD4AD


ESTIMATORS: dict[str, type[Detector]] = {
    kind.__name__: kind
    for kind in (ReConPatch, PatchCore, MHPatchcore, PaDiM, SPADE, PNI, FastFlow, CFLOW, CFA, RD4AD)
}
"""Every estimator by its method's name."""


def load(
    folder: str | PathLike[str],
    *,
    device: str = "auto",
    threads: int = 2,
    weights: str | PathLike[str] = "weights",
) -> Detector:
    """Return the fitted estimator in a folder, of whatever class; raises as ``Detector.load``."""
    name = read_record(Path(folder)).estimator
    if name not in ESTIMATORS:
        raise InputError(
            f"{folder} holds a model of {name}, which this version of reconpatch does not know; "
            f"it knows {', '.join(ESTIMATORS)}."
        )
    return ESTIMATORS[name].load(folder, device=device, threads=threads, weights=weights)
