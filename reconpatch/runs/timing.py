"""A measured run as it would be used: an image in, its score and anomaly map out."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from reconpatch.detection import MemoryBank, anomaly_maps, score
from reconpatch.evaluation import ITERATIONS, inference_times
from reconpatch.features import image_batches, load_backbone, patch_features
from reconpatch.runs.recipe_run import RecipeRun
from reconpatch.utils.files import write_json
from reconpatch.utils.provenance import provenance


class Detector:
    """A run's backbone, representation and memory bank, in memory."""

    def __init__(self, run: RecipeRun, weights_folder: Path) -> None:
        """Load them.

        Raises:
            InputError: the backbone's weights are not to be had, or the representation is damaged.
        """
        self.run = run
        settings = run.recipe.features
        self.backbone = load_backbone(
            settings.backbone, settings.layers, weights_folder, run.device
        )
        self.layer = run.layer()
        tensors = load_file(run.folder / "memory_bank.safetensors")
        self.bank = MemoryBank(tensors["vectors"].to(run.device))

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores ``(B,)`` and maps ``(B, crop, crop)`` of uint8 ``(B, 3, crop, crop)``."""
        recipe, device = self.run.recipe, self.run.device
        patches = patch_features(self.backbone(images.to(device)), recipe.features)
        features = self.run.represented(patches, self.layer)
        found = score(self.bank, features, (patches.shape[1], patches.shape[2]), recipe.detection)
        maps = anomaly_maps(found.patches, recipe.features.crop, recipe.detection)
        return torch.from_numpy(found.images), torch.from_numpy(maps)


def time_inference(runs: list[RecipeRun], weights_folder: Path) -> None:
    """Measure how long a test image takes with each run, and write its ``inference.json``.

    The clock runs from the decoded image to its map. The images are the category's first test
    images, one at a time.
    """
    for run in runs:
        detector = Detector(run, weights_folder)
        paths = [sample.image for sample in run.test_features.category.test[:ITERATIONS]]
        images = list(image_batches(paths, run.recipe.features, 1, 1))
        write_json(
            run.folder / "inference.json",
            {"milliseconds": inference_times(detector, images), **provenance(run.device)},
        )
