"""What PatchCore, ReConPatch and the linear maps have in common: a memory bank (Eqs. 9-10).

They differ in the space that patch features are brought to. There a greedy coreset of the training
patches is kept, and a test patch is scored by its distance to the nearest of them.
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from reconpatch.methods.method import Method, Needs, Sizes, TrainingSet
from reconpatch.settings.detection import DetectionSettings
from reconpatch.settings.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from reconpatch.detection.memory_bank import MemoryBank
    from reconpatch.detection.scores import Scores
    from reconpatch.features.store import Patches

SCORED = 2**29
"""Bytes of features that are scored at once on a GPU: 512 MiB, or an image's if that takes more."""


class MemoryBankRecipe(Recipe):
    """A recipe that ends in a memory bank.

    Attributes:
        detection: from features to scores.
    """

    detection: DetectionSettings = DetectionSettings()


B = TypeVar("B", bound=MemoryBankRecipe)


class MemoryBankMethod(Method[B], Generic[B]):
    """A memory bank of features that a subclass represents.

    Attributes:
        bank: the coreset's vectors ``(M, d)``, to be searched.
        indices: which training patches they are, ``(M,)``.
    """

    counter = "reconpatch.planning.memory_bank_work"

    bank: "MemoryBank"
    indices: "Tensor"
    _training_features: "Tensor | None" = None

    @classmethod
    def needs(cls, recipe: B, sizes: Sizes, *, on_gpu: bool) -> Needs:
        """Return ``M (4 d + 8)`` bytes for the bank, and the peak, which is in detection.

        That is what the coreset takes first (``coreset_memory``), after it the memory bank and its
        copy that is searched, ``8 d M``, with the test vectors, ``4 d Q``; all the time the
        training vectors, ``4 d N``. These are the mapped patch features themselves, unless they
        must be represented, widened or copied to a GPU. There the test vectors come ``SCORED``
        bytes at a time, or an image's, and their search takes ``BLOCK``.
        """
        from reconpatch.detection.coreset import coreset_memory, coreset_size
        from reconpatch.detection.memory_bank import BLOCK

        dimension = cls._dimension(recipe) or sizes.dimension
        count, vector = sizes.train_patches, 4 * dimension
        bank = coreset_size(count, recipe.detection.coreset_share)
        coreset = coreset_memory(count, dimension, on_gpu=on_gpu)
        banks, tests = 2 * vector * bank, vector * sizes.test_patches
        if on_gpu:
            tests = min(tests, max(SCORED, vector * sizes.places)) + BLOCK
        if cls._dimension(recipe) is None and recipe.features.stored_as == "float32" and not on_gpu:
            working = max(coreset, banks)
        else:
            working = vector * count + max(coreset, banks + tests)
        return Needs(0, 0, bank * (vector + 8), working)

    @classmethod
    @abstractmethod
    def _dimension(cls, recipe: B) -> int | None:
        """The dimension d of what is represented; None where patch features stay as they are."""

    @classmethod
    def fit_all(
        cls,
        recipes: Sequence[B],
        training: TrainingSet,
        device: "torch.device",
        folder: Path | None = None,
    ) -> Iterator[Self]:
        """Represent the training patches, and select a coreset, once for recipes that do it alike.

        The greedy order makes a smaller coreset the beginning of a larger one.
        """
        for _, alike in groupby(recipes, key=_represented):
            sharing = list(alike)
            largest = max(sharing, key=lambda recipe: recipe.detection.coreset_share)
            first = cls(largest, device, folder)
            features = first.represent(training.patches)
            coreset = first._select(features, training)
            for recipe in sharing:
                # One bank at a time is in memory.
                method = cls(recipe, device, folder)
                method._keep(features, coreset)
                yield method

    def fit(self, training: TrainingSet) -> None:
        """Keep a coreset of the training patches' features."""
        features = self.represent(training.patches)
        self._keep(features, self._select(features, training))

    def _size(self, features: "Tensor") -> int:
        from reconpatch.detection.coreset import coreset_size

        return coreset_size(len(features), self.recipe.detection.coreset_share)

    def _select(self, features: "Tensor", training: TrainingSet) -> "Tensor":
        from reconpatch.detection.coreset import select_coreset

        description = f"{training.category} coreset"
        return select_coreset(features, self._size(features), training.seed, description)

    def _keep(self, features: "Tensor", coreset: "Tensor") -> None:
        """Keep the coreset's beginning as the bank; and all features at hand, for their scores."""
        self._training_features = features
        indices = coreset[: self._size(features)].clone()
        self.load({"vectors": features[indices.to(features.device)], "indices": indices})

    def load(self, tensors: "dict[str, Tensor]") -> None:
        """Take the bank's vectors, and which training patches they are."""
        from reconpatch.detection.memory_bank import MemoryBank

        self.bank = MemoryBank(tensors["vectors"].to(self.device))
        self.indices = tensors["indices"]

    def tensors(self) -> "dict[str, Tensor]":
        """Return the bank's vectors, and which training patches they are."""
        return {"vectors": self.bank.vectors.cpu(), "indices": self.indices}

    def counts(self) -> dict[str, int]:
        """Return the number of the bank's vectors and their dimension."""
        vectors = self.bank.vectors
        return {"memory_bank": len(vectors), "dimension": vectors.shape[1]}

    def score(self, patches: "Patches | Tensor") -> "Scores":
        """Score by the distance to the nearest vector of the bank (Eqs. 9-10)."""
        return self._score_by(self.bank, patches)

    def _score_by(self, bank: "MemoryBank", patches: "Patches | Tensor") -> "Scores":
        from reconpatch.detection.scores import Scores
        from reconpatch.detection.scoring import score
        from reconpatch.utils.halving import Blocks

        count, h, w, channels = patches.shape
        if self.device.type == "cuda":
            dimension = self._dimension(self.recipe) or channels
            count = max(1, SCORED // (4 * h * w * dimension))
        scored = Blocks(count)(
            lambda some: score(bank, self.represent(some), (h, w), self.recipe.detection), patches
        )
        return Scores.joined(scored)

    def score_training(self, training: TrainingSet, images: int | None = None) -> "Scores":
        """Score training images by what the bank has of the others."""
        from reconpatch.detection.scoring import score_training

        features = self.training_features(training)
        _, *grid, _ = training.patches.shape
        if images is not None:
            features = features[: images * grid[0] * grid[1]]
        description = f"{training.category} training scores"
        return score_training(
            self.bank,
            self.indices,
            features,
            (grid[0], grid[1]),
            self.recipe.detection,
            description,
        )

    def training_features(self, training: TrainingSet) -> "Tensor":
        """Return the training patches' features ``(N h w, d)``, those at hand after fitting."""
        if self._training_features is None:
            self._training_features = self.represent(training.patches)
        return self._training_features

    def score_left_out(self, patches: "Patches | Tensor", image: int) -> "Scores":
        """Score by what the bank has of the other training images."""
        owners = self.indices // (patches.shape[1] * patches.shape[2])
        return self._score_by(self.bank.without(owners == image), patches)


def _represented(recipe: MemoryBankRecipe) -> str:
    """What decides how training patches are represented, and the coreset's beginning."""
    return recipe.model_dump_json(exclude={"augmentation", "detection", "maps"})
