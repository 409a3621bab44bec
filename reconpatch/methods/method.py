"""The seam for methods: all that the workflow knows of one.

A method has a file of its own. Its head names paper, source, licence and how it departs from its
paper; then come its recipe (its settings besides those that all methods share) and its class. The
Snakefile reads these files for their settings, so they import torch in the functions that need it.
docs/architecture.md walks through adding one.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, Self, TypeVar

from reconpatch.settings.recipe import Recipe
from reconpatch.utils.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from reconpatch.detection.scores import Scores
    from reconpatch.features.store import Patches

R = TypeVar("R", bound=Recipe)
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class TrainingSet:
    """A category's normal images, as a method reads them.

    Attributes:
        patches: patch features ``(N, h, w, D)``, possibly memory-mapped; or the ``LayerMaps`` of a
            method that reads those.
        seed: decides every draw.
        category: what progress bars call it.
    """

    patches: Any
    seed: int
    category: str


class Sizes(NamedTuple):
    """What the needs of a run grow with.

    Attributes:
        train_images: N.
        test_images: Q.
        places: patches of an image, ``h w``.
        dimension: D, of a patch's features as they are stored.
        shapes: ``(C, h, w)`` of the layers' maps, finest first, for a method that reads those.
    """

    train_images: int
    test_images: int
    places: int
    dimension: int
    shapes: tuple[Shape, ...] = ()

    @property
    def train_patches(self) -> int:
        """``N h w``."""
        return self.train_images * self.places

    @property
    def test_patches(self) -> int:
        """``Q h w``."""
        return self.test_images * self.places


class Needs(NamedTuple):
    """What a run takes besides the patch features that it reads.

    Attributes:
        steps: mini-batches of its training.
        learned_bytes: of its representation on disk, which runs share.
        model_bytes: of the fitted method on disk.
        working_bytes: of arrays that are there at its peak, on the device.
    """

    steps: int
    learned_bytes: int
    model_bytes: int
    working_bytes: int


class Method(ABC, Generic[R]):
    """A detector of anomalies: fitted on normal images, it scores others patch by patch.

    Attributes:
        Recipe: the class of its recipe; its default name is the method's.
        learner: the module whose ``learn`` makes what recipes with equal ``learned`` settings
            share on disk (see ``reconpatch.representation.training``); None without.
        counter: the module that counts for the plan what its runs take on a GPU (see
            ``reconpatch.planning.memory_bank_work``); None without. It is named and not imported,
            so that its edits make no result stale.
        recipe: its settings.
        device: where it computes.
        folder: where its representation lies; None without.
    """

    Recipe: ClassVar[type[Recipe]]
    learner: ClassVar[str | None] = None
    counter: ClassVar[str | None] = None

    def __init__(self, recipe: R, device: "torch.device", folder: Path | None = None) -> None:
        self.recipe = recipe
        self.device = device
        self.folder = folder

    @classmethod
    def name(cls) -> str:
        """Return what suites and tables call it."""
        return str(cls.Recipe.model_fields["method"].default)

    @classmethod
    def needs(cls, recipe: R, sizes: Sizes, *, on_gpu: bool) -> Needs:
        """Return what a run takes: by default nothing but its patches in single precision.

        Args:
            recipe: the run's.
            sizes: of its category's features.
            on_gpu: whether arrays are copied to a GPU; on a CPU they may be those mapped from disk.
        """
        patches = max(sizes.train_patches, sizes.test_patches)
        return Needs(0, 0, 0, 4 * patches * sizes.dimension)

    @classmethod
    def scored_epochs(cls, recipe: R) -> tuple[int, ...]:
        """Return at which epochs of its training the test images are scored: none by default."""
        return ()

    @classmethod
    def fit_all(
        cls,
        recipes: Sequence[R],
        training: TrainingSet,
        device: "torch.device",
        folder: Path | None = None,
    ) -> Iterator[Self]:
        """Yield a fitted method for each recipe, in their order, on the same training set.

        The recipes have the same features and ``learned`` settings. A method whose recipes share
        more work than that overrides this.
        """
        for recipe in recipes:
            method = cls(recipe, device, folder)
            method.fit(training)
            yield method

    @abstractmethod
    def fit(self, training: TrainingSet) -> None:
        """Learn what is normal.

        Raises:
            InputError: the training set is too small, or a setting does not fit its features.
        """

    @abstractmethod
    def score(self, patches: Any) -> "Scores":
        """Return image scores ``(N,)`` and patch scores ``(N, h, w)``; higher is more anomalous.

        Args:
            patches: as in a training set.
        """

    @abstractmethod
    def tensors(self) -> "dict[str, Tensor]":
        """Return all that fitting made, to be kept as safetensors; not the representation."""

    @abstractmethod
    def load(self, tensors: "dict[str, Tensor]") -> None:
        """Take what ``tensors`` of an equally set method returned."""

    def counts(self) -> dict[str, int]:
        """Return sizes worth a word in tables, by their names."""
        return {}

    def represent(self, patches: "Patches | Tensor") -> "Tensor":
        """Return features ``(N h w, d)`` in the space that it works in: by default as they come."""
        from reconpatch.detection.represent import represent

        return represent(patches, None, self.device)

    def training_features(self, training: TrainingSet) -> "Tensor":
        """Return the training patches as ``represent`` has them."""
        return self.represent(training.patches)

    def score_training(self, training: TrainingSet, images: int | None = None) -> "Scores":
        """Score the first training images, each as if it were not among them; None scores all.

        Eq. 11 takes these as the scores of normal images. A method without them cannot be a member
        of an ensemble, nor be refined.
        """
        raise self._cannot("score its training images without their own part in it")

    def score_left_out(self, patches: Any, image: int) -> "Scores":
        """Score patch features as if training image number ``image`` had not been there."""
        raise self._cannot("leave a training image out")

    def _cannot(self, what: str) -> InputError:
        return InputError(
            f"{self.name()} cannot {what}, which ensembles and refinement ask for. Leave it out of "
            "them."
        )
