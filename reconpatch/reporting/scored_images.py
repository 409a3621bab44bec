"""A finished run's test images, with what was found in them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from reconpatch.datasets.category import Sample
from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.detection.scores import Scores
from reconpatch.features.images import image_batches
from reconpatch.reporting.threshold import best_f1_threshold
from reconpatch.runs.recipe_run import RecipeRun
from reconpatch.runs.score_files import read_scores

Masks = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ScoredImages:
    """The test images of a finished run, ``Q`` of them with sides of ``S`` pixels."""

    run: RecipeRun

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        """The images' places and labels."""
        return self.run.test_features.category.test

    @cached_property
    def anomalous(self) -> Masks:
        """``(Q,)``."""
        return np.array([sample.anomalous for sample in self.samples])

    @cached_property
    def masks(self) -> Masks:
        """``(Q, S, S)``; all False without masks."""
        return self.run.test_features.masks()

    @cached_property
    def scores(self) -> Scores:
        """Scores of images and patches."""
        return read_scores(self.run.detected("patch_scores.npz"))

    @cached_property
    def maps(self) -> npt.NDArray[np.float32]:
        """Anomaly maps ``(Q, S, S)``."""
        recipe = self.run.recipe
        return anomaly_maps(self.scores.patches, recipe.features.size, recipe.maps)

    @cached_property
    def image_threshold(self) -> float:
        """The score of best F1 over whole images."""
        return best_f1_threshold(self.scores.images, self.anomalous)

    @cached_property
    def threshold(self) -> float:
        """The score of best F1 over pixels; over whole images where the category has no masks."""
        if self.masks.any():
            return best_f1_threshold(self.maps, self.masks)
        return self.image_threshold

    def image(self, index: int) -> npt.NDArray[np.uint8]:
        """Return an image as the backbone sees it, RGB ``(S, S, 3)``.

        Raises:
            InputError: it is unreadable or truncated.
        """
        seen = self.run.recipe.test_extraction
        paths = [self.samples[index].image]
        (image,) = image_batches(paths, seen.features, 1, 1, augmentation=seen.augmentation)
        pixels: npt.NDArray[np.uint8] = image[0].permute(1, 2, 0).numpy()
        return pixels
