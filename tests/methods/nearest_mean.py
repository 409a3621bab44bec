"""Nearest mean: the distance of a patch to the mean training patch. A toy, for the tests."""

from typing import TYPE_CHECKING, Literal

from reconpatch.methods.method import Method, TrainingSet
from reconpatch.settings.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from reconpatch.detection.scores import Scores
    from reconpatch.features.store import Patches


class NearestMeanRecipe(Recipe):
    method: Literal["nearest mean"] = "nearest mean"
    squared: bool = False


class NearestMean(Method[NearestMeanRecipe]):
    Recipe = NearestMeanRecipe

    def fit(self, training: TrainingSet) -> None:
        self.load({"mean": self.represent(training.patches).mean(dim=0)})

    def score(self, patches: "Patches | Tensor") -> "Scores":
        from reconpatch.detection.scores import Scores

        distances = (self.represent(patches) - self.mean).norm(dim=1).view(patches.shape[:3])
        return Scores.of(distances.square() if self.recipe.squared else distances)

    def tensors(self) -> "dict[str, Tensor]":
        return {"mean": self.mean.cpu()}

    def load(self, tensors: "dict[str, Tensor]") -> None:
        self.mean = tensors["mean"].to(self.device)
