"""Choose the refinement's defaults without test labels (``benchmarks.refinement_choice``).

A category's training images are all that is read. A fifth of them is held out of the refinement
network's training; defects are simulated on these once, and candidates are judged by them.
docs/refinement-choice.md states the rule and what came of it.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.table import Table
from torch import Tensor

from benchmarks.measure import console
from reconpatch.datasets.demo.writer import write_demo
from reconpatch.datasets.images import list_images
from reconpatch.detection.ensemble import modified_z_score
from reconpatch.evaluation.auroc import auroc
from reconpatch.features.backbones import Backbone
from reconpatch.features.images import image_batches
from reconpatch.features.layer_maps import as_read
from reconpatch.features.pretrained import load_backbone
from reconpatch.methods.method import TrainingSet
from reconpatch.methods.patchcore import PatchCore
from reconpatch.refinement.pool import Pool, read_pool, write_pool
from reconpatch.refinement.refine import refine
from reconpatch.refinement.scoring import score_simulated
from reconpatch.refinement.textures import SHIPPED
from reconpatch.refinement.training import train_refinement
from reconpatch.settings.features import FeatureSettings
from reconpatch.settings.refinement import RefinementSettings
from reconpatch.utils.devices import set_up_torch
from reconpatch.utils.epochs import Checkpoint
from reconpatch.utils.errors import InputError

RECIPE = PatchCore.Recipe.model_validate(
    {
        "features": FeatureSettings(backbone="efficientnet_lite0").model_dump(),
        "detection": {"reweighting": "every_patch", "squared_distances": False},
    }
)
"""The maps that are refined: ReConPatch's before its training."""

PRESENT = RefinementSettings(
    noise_cells=(0, 3),
    noise_threshold=0.25,
    regions=4,
    opacity=(0.1, 1.0),
    visible=5,
    smallest=30,
    learning_rate=0.01,
    input="both",
    focal_gamma=2.0,
    focal_alpha=0.75,
    l1_weight=1.0,
)
"""The defaults before the choice."""

LITERATURE, UNREFINED, AGAIN = "MemSeg's defects and loss", "not refined", "present, another seed"
MEMSEG: dict[str, Any] = {
    "noise_cells": (0, 5),
    "noise_threshold": 0.499,
    "regions": 1000,
    "opacity": (0.15, 1.0),
    "visible": 1,
    "smallest": 1,
    "focal_gamma": 4.0,
    "focal_alpha": 0.5,
    "l1_weight": 0.75,
}
CANDIDATES = {
    "present": PRESENT,
    LITERATURE: PRESENT.model_copy(update=MEMSEG),
    "rate 0.1": PRESENT.model_copy(update={"learning_rate": 0.1}),
    "rate 0.001": PRESENT.model_copy(update={"learning_rate": 0.001}),
    "scores alone": PRESENT.model_copy(update={"input": "scores"}),
}
JUDGES = [
    RefinementSettings(
        anomaly=anomaly,
        patches=(6, 6),
        noise_cells=(0, 5),
        noise_threshold=0.35,
        regions=8,
        opacity=(0.1, 1.0),
        visible=3,
        smallest=10,
        pool=2,
    )
    for anomaly in ("structure", "texture")
]
SIMULATION = {
    "anomaly",
    "patches",
    "pool",
    "noise_cells",
    "noise_threshold",
    "regions",
    "opacity",
    "visible",
    "smallest",
}
"""The settings that decide the simulated images, which candidates share where they are alike."""

BATCH = 16
CPU = torch.device("cpu")


@dataclass(frozen=True)
class NormalImages:
    """A category's training images in random order, and what scores them.

    Attributes:
        name: the category's.
        pixels: RGB ``(N, 3, S, S)``, uint8; the first of them are held out.
        held_out: how many.
        backbone: gives the features of simulated images.
        method: fitted on all images.
        scores: of each image without its own vectors, ``(N, h, w)``.
    """

    name: str
    pixels: Tensor
    held_out: int
    backbone: Backbone
    method: PatchCore
    scores: npt.NDArray[np.float32]

    def pool(
        self, settings: RefinementSettings, seed: int, folder: Path, *, held_out: bool
    ) -> Pool:
        """Simulate defects on the images that are held out, or on the others, and score them."""
        rows = slice(0, self.held_out) if held_out else slice(self.held_out, None)
        images = self.pixels[rows]
        count, size = len(images), images.shape[-1]
        write_pool([images], count, size, settings, SHIPPED, seed, folder, f"{self.name} defects")
        simulated = score_simulated(
            np.load(folder / "images.npy", mmap_mode="r")[:, 1:],
            self.backbone,
            self.method,
            f"{self.name} scores",
            first=rows.start,
        )
        scores = np.concatenate([self.scores[rows][:, None], simulated], axis=1)
        standardised = modified_z_score(scores, self.scores).astype(np.float32)
        return read_pool(folder, (standardised,), RECIPE.maps)


def read(paths: Sequence[Path], name: str, seed: int, weights: Path) -> NormalImages:
    """Read training images, in an order that the seed draws, and fit PatchCore on them.

    Raises:
        InputError: there are fewer than ten, one cannot be read, or the weights are not to be had.
    """
    if len(paths) < 10:
        raise InputError(
            f"{name} has {len(paths)} training images: give ten or more, to hold out a fifth"
        )
    order = np.random.default_rng(seed).permutation(len(paths))
    batches = list(image_batches([paths[i] for i in order], RECIPE.features, BATCH, 1))
    backbone = load_backbone(RECIPE.features.backbone, RECIPE.features.layers, weights, CPU)
    with torch.inference_mode():
        patches = torch.cat([torch.as_tensor(as_read(backbone(b), RECIPE)) for b in batches])
    training = TrainingSet(patches.numpy(), seed, name)
    method = PatchCore(RECIPE, CPU)
    method.fit(training)
    scores = method.score_training(training).patches
    return NormalImages(name, torch.cat(batches), len(paths) // 5, backbone, method, scores)


def judge(
    images: NormalImages,
    candidates: Mapping[str, RefinementSettings],
    seed: int,
    steps: int,
    work: Path,
) -> dict[str, float]:
    """Return each candidate's pixel AUROC on the simulated defects of held-out images.

    That of the plain maps and that of the present default from another seed come with them. All
    train for ``steps`` steps, or the whole epochs nearest to that. The same seed gives the same
    values. Files go to ``work``.
    """
    first, second = (
        images.pool(settings, seed + 1 + kind, work / f"judge-{kind}", held_out=True)
        for kind, settings in enumerate(JUDGES)
    )
    pixels = _joined(first.images, second.images)
    masks, maps = _joined(first.masks, second.masks), _joined(first.maps, second.maps)
    shown = torch.from_numpy(pixels).permute(0, 3, 1, 2).split(BATCH)

    @cache
    def simulated(simulation: str) -> Pool:
        folder = work / f"pool-{simulated.cache_info().misses}"
        settings = RefinementSettings.model_validate_json(simulation)
        return images.pool(settings, seed, folder, held_out=False)

    def of(name: str, settings: RefinementSettings, seed: int) -> float:
        pool = simulated(settings.model_dump_json(include=SIMULATION))
        an_epoch = max(1, len(pool.images) // settings.batch_size)
        network = train_refinement(
            pool,
            settings.model_copy(update={"epochs": max(1, round(steps / an_epoch))}),
            seed,
            device=CPU,
            checkpoint=Checkpoint(work / f"{name}.pt", name),
            description=f"{images.name}, {name}",
        )
        return auroc(refine(network, shown, maps), masks)

    values = {UNREFINED: auroc(maps, masks)}
    values |= {name: of(name, settings, seed) for name, settings in candidates.items()}
    values[AGAIN] = of(AGAIN, candidates["present"], seed + 1)
    return values


def _joined(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """All versions of two pools' images, ``(n, ...)``: the normal ones once."""
    return np.concatenate([first, second[:, 1:]], axis=1).reshape(-1, *first.shape[2:])


def choose(values: Mapping[str, Mapping[str, float]]) -> tuple[str, float]:
    """Return the candidate that the rule takes, and the noise, of each category's values.

    Example:
        >>> one = {"not refined": 0.9, "present": 0.93, "rate 0.1": 0.95}
        >>> choose({"bottle": one | {"present, another seed": 0.94}})
        ('rate 0.1', 0.01)
        >>> choose({"bottle": one | {"present, another seed": 0.90}})
        ('present', 0.03)
    """
    each = list(values.values())
    noise = round(max(abs(value[AGAIN] - value["present"]) for value in each), 6)
    means = {
        name: float(np.mean([value[name] for value in each]))
        for name in each[0]
        if name not in (UNREFINED, AGAIN)
    }
    best = max(means, key=lambda name: means[name])
    tied = [name for name in means if name == best or means[best] - means[name] < noise]
    return next(name for name in (LITERATURE, "present", best) if name in tied), noise


def table(values: Mapping[str, Mapping[str, float]]) -> Table:
    """Return a table of pixel AUROC in percent: a row a candidate, a column a category."""
    shown = Table("candidate", *values, "mean", title="pixel AUROC on simulated defects, %")
    for name in next(iter(values.values())):
        row = [100 * of_category[name] for of_category in values.values()]
        shown.add_row(name, *(f"{value:.2f}" for value in (*row, np.mean(row))))
    return shown


def main() -> None:
    """Judge the candidates on each category and print the table and the choice."""
    parser = argparse.ArgumentParser(prog="benchmarks.refinement_choice", description=__doc__)
    parser.add_argument(
        "folders",
        nargs="*",
        type=Path,
        help="categories in MVTec AD's layout, beside the drawn weave",
    )
    parser.add_argument("--images", type=int, default=60, help="training images of each, at most")
    parser.add_argument("--steps", type=int, default=100, help="of each training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--weights", type=Path, default=Path("weights"))
    arguments = parser.parse_args()
    set_up_torch("cpu", arguments.threads)
    values = {}
    with tempfile.TemporaryDirectory(prefix="reconpatch-choice-") as name:
        work = Path(name)
        write_demo(work / "demo", 0)
        for folder in (*arguments.folders, work / "demo" / "weave"):
            paths = list_images(folder / "train" / "good")[: arguments.images]
            images = read(paths, folder.name, arguments.seed, arguments.weights)
            values[folder.name] = judge(
                images, CANDIDATES, arguments.seed, arguments.steps, work / folder.name
            )
            console.print(table(values))
    chosen, noise = choose(values)
    console.print(f"noise {100 * noise:.2f}; the rule takes: {chosen}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"Error: {error}")
