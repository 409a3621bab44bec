"""A refined run on disk: its simulated images, its network's training, its metrics (Appendix D).

Beside ``replicates.npz`` and ``metrics.json``, which all runs have, its folder holds
``network.safetensors``; while it is in the making also ``checkpoint.pt``, the training after its
last whole epoch, and ``pool/``, the simulated images and their scores.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from reconpatch.detection.ensemble import EnsembleMember, fuse, modified_z_score
from reconpatch.detection.scores import Scores
from reconpatch.features.images import image_batches
from reconpatch.refinement.network import RefinementNetwork
from reconpatch.refinement.pool import Pool, read_pool, write_pool
from reconpatch.refinement.refine import refine
from reconpatch.refinement.scoring import score_simulated
from reconpatch.refinement.textures import SHIPPED, Textures
from reconpatch.refinement.training import train_refinement
from reconpatch.runs.evaluation import evaluate_scores
from reconpatch.runs.metrics import write_metrics
from reconpatch.runs.recipe_run import RecipeRun
from reconpatch.settings.composed import Ensemble, Refined
from reconpatch.settings.features import ExtractionSettings
from reconpatch.settings.refinement import RefinementSettings
from reconpatch.suites.runs import Run
from reconpatch.utils.epochs import Checkpoint
from reconpatch.utils.files import atomic_write
from reconpatch.utils.fingerprint import code_fingerprint, fingerprint
from reconpatch.utils.provenance import Stopwatch, provenance
from reconpatch.utils.record import is_current, read_record, whole, write_record
from reconpatch.utils.steps import STEPS

IMAGES = 16
"""Images that are decoded and refined at a time."""

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RefinedRun:
    """A run that refines others, with its places on disk, and its steps.

    Attributes:
        run: the run.
        results: the folder of all results.
        device: where networks live.
        weights_folder: where local weight files lie.
        textures: what fills simulated defects of kind ``texture``.
    """

    run: Run
    results: Path
    device: torch.device
    weights_folder: Path = Path("weights")
    textures: Textures = SHIPPED

    @property
    def recipe(self) -> Refined:
        """The run's recipe."""
        assert isinstance(self.run.recipe, Refined)
        return self.run.recipe

    @property
    def settings(self) -> RefinementSettings:
        """The refinement's settings."""
        return self.recipe.refinement

    @property
    def folder(self) -> Path:
        """Where the run's own files lie."""
        return self.results / "runs" / self.run.id

    @cached_property
    def members(self) -> list[RecipeRun]:
        """The models whose map is refined: one, or an ensemble's."""
        return [RecipeRun(member, self.results, self.device) for member in self.run.members]

    @cached_property
    def _deviation(self) -> Any:
        of = self.recipe.of
        return of.deviation if isinstance(of, Ensemble) else "median"

    @cached_property
    def _scored(self) -> list[tuple[EnsembleMember, str]]:
        return [member.member() for member in self.members]

    @cached_property
    def training_fingerprint(self) -> str:
        """What the network is made of."""
        textures = self.textures.names if self.settings.anomaly == "texture" else ""
        made_of = [print_ for _, print_ in self._scored]
        code = code_fingerprint(*STEPS["train refinement"])
        return fingerprint(*made_of, textures, self.recipe.key, self.run.seed, code)

    def measure(self) -> None:
        """Train the network, refine the test images' maps and measure them, unless it is done."""
        made_of = fingerprint(self.training_fingerprint, code_fingerprint(*STEPS["refine"]))
        if is_current(self.folder / "metrics.json", made_of):
            return
        network = self.network()
        first = self.members[0]
        watch = Stopwatch()
        with watch("refinement"):
            everything = list(range(len(first.test_features.category.test)))
            maps = self.refined(network, everything)
            images = maps.max(axis=(1, 2))
            if self.settings.image_score == "kept":
                images = self._fused(everything)[0]
        with watch("evaluation"):
            measured, replicates = evaluate_scores(first.test_features, images, maps)
        steps = {
            "refinement training": read_record(self.folder / "network.json"),
            "refinement": {**watch.record(), **provenance(self.device)},
        }
        write_metrics(
            self.run, self.folder, first.test_features, measured, replicates, steps, made_of
        )

    def plain(self, chosen: list[int]) -> Array:
        """Return the maps that are refined, standardised (Eq. 11), of some test images."""
        return self._fused(chosen)[1]

    def _fused(self, chosen: list[int]) -> tuple[Array, Array]:
        """The standardised image scores and maps of some test images."""
        first = self.members[0].recipe
        members = [
            EnsembleMember(Scores(m.test.images[chosen], m.test.patches[chosen]), m.training)
            for m, _ in self._scored
        ]
        return fuse(members, first.features.size, first.maps, self._deviation)

    def refined(self, network: RefinementNetwork, chosen: list[int]) -> Array:
        """Return the refined maps ``(n, S, S)`` of some test images."""
        return refine(network, self.test_images(chosen), self.plain(chosen))

    def test_images(self, chosen: list[int]) -> Iterator[Tensor]:
        """Yield some test images as the models see them, uint8 ``(B, 3, S, S)``."""
        test = self.members[0].test_features.category.test
        recipe = self.members[0].recipe
        return self._images([test[index].image for index in chosen], recipe.test_extraction)

    def _images(self, paths: list[Path], settings: ExtractionSettings) -> Iterator[Tensor]:
        return image_batches(
            paths,
            settings.features,
            IMAGES,
            torch.get_num_threads(),
            augmentation=settings.augmentation,
        )

    def network(self) -> RefinementNetwork:
        """Return the trained network, trained now unless the one on disk is current.

        Raises:
            InputError: the training fails, an image or texture cannot be read, or a backbone's
                weights are not to be had or not those that were used.
        """
        path = self.folder / "network.safetensors"
        record = path.with_suffix(".json")
        if is_current(record, self.training_fingerprint):
            return self.trained()
        watch = Stopwatch()
        checkpoint = self.folder / "checkpoint.pt"
        with watch("simulated images"):
            pool = self._pool()
        with watch("refinement training"):
            network = train_refinement(
                pool,
                self.settings,
                self.run.seed,
                device=self.device,
                checkpoint=Checkpoint(checkpoint, self.training_fingerprint),
                description=f"{self.run.category} refinement",
            )
        with atomic_write(path) as aside:
            save_file({n: t.contiguous().cpu() for n, t in network.state_dict().items()}, aside)
        write_record(
            record,
            self.training_fingerprint,
            {
                "textures": self.textures.source if self.settings.anomaly == "texture" else None,
                "simulated_images": int(pool.masks.shape[0] * (pool.masks.shape[1] - 1)),
                **watch.record(),
                **provenance(self.device),
            },
            [path.name],
        )
        del pool
        shutil.rmtree(self.folder / "pool")
        checkpoint.unlink()
        return network

    def trained(self) -> RefinementNetwork:
        """Return the trained network that is on disk."""
        network = RefinementNetwork(self.settings, self.run.seed)
        network.load_state_dict(
            load_file(whole(self.folder / "network.json", "network.safetensors"))
        )
        return network.to(self.device).eval()

    def _pool(self) -> Pool:
        """Simulate and score, as far as that is not done."""
        folder = self.folder / "pool"
        first = self.members[0]
        made_of = self.training_fingerprint
        if not is_current(folder / "simulated.json", made_of):
            paths = [sample.image for sample in first.train_features.category.train]
            write_pool(
                self._images(paths, first.recipe.train_extraction),
                len(paths),
                first.recipe.features.size,
                self.settings,
                self.textures,
                self.run.seed,
                folder,
                f"{self.run.category} simulated defects",
            )
            write_record(folder / "simulated.json", made_of, files=["images.npy", "masks.npy"])
        pixels = np.load(folder / "images.npy", mmap_mode="r")
        scores = tuple(
            self._scores(index, pixels, folder / f"scores-{index}")
            for index in range(len(self.members))
        )
        return read_pool(folder, scores, first.recipe.maps)

    def _scores(self, index: int, pixels: npt.NDArray[np.uint8], path: Path) -> Array:
        """The standardised patch scores of a member, kept at ``path``."""
        member = self.members[index]
        training = self._scored[index][0].training.patches
        record, file = path.with_suffix(".json"), path.with_suffix(".npy")
        if not is_current(record, self.training_fingerprint):
            simulated = score_simulated(
                pixels[:, 1:],
                member.train_features.backbone(self.weights_folder, self.device),
                member.method(),
                f"{self.run.category} simulated scores",
            )
            # Version 0 is the image as it is, which has been scored without its own vectors.
            scores = np.concatenate([training[:, None], simulated], axis=1)
            with atomic_write(file) as aside, aside.open("wb") as opened:
                np.save(opened, scores)
            write_record(record, self.training_fingerprint, files=[file.name])
        standardised = modified_z_score(np.load(file), training, self._deviation)
        return standardised.astype(np.float32)
