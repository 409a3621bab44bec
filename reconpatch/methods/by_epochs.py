"""The seam for methods that train by epochs, whatever they read."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from reconpatch.methods.method import Method, TrainingSet
from reconpatch.settings.base import Count, Positive
from reconpatch.settings.recipe import Recipe

if TYPE_CHECKING:
    from reconpatch.utils.epochs import Checkpoint

SCORED_EPOCHS = 10
"""At how many epochs of a training the test images are scored, evenly spaced; the last is one."""


class EpochRecipe(Recipe):
    """The settings of a method that trains by epochs.

    Attributes:
        epochs: how often the training takes all training images.
        batch_size: of a mini-batch; an epoch's last, incomplete one is left out.
        learning_rate: of a step.
    """

    epochs: Count
    batch_size: Count
    learning_rate: Positive


E = TypeVar("E", bound=EpochRecipe)


class EpochMethod(Method[E], Generic[E]):
    """A method that can score after each epoch of its training."""

    @classmethod
    def scored_epochs(cls, recipe: E) -> tuple[int, ...]:
        """Return up to ``SCORED_EPOCHS`` epochs, evenly spaced; the last is the recipe's last."""
        count = min(SCORED_EPOCHS, recipe.epochs)
        return tuple(-(-part * recipe.epochs // count) for part in range(1, count + 1))

    def fit(self, training: TrainingSet) -> None:
        """Train for all epochs.

        Raises:
            InputError: as ``fit_epochs``.
        """
        for _ in self.fit_epochs(training):
            pass

    @abstractmethod
    def fit_epochs(
        self, training: TrainingSet, checkpoint: "Checkpoint | None" = None
    ) -> Iterator[int]:
        """Train epoch by epoch, and yield the number of each that is done, from 1.

        After each the method can score. The seed decides the initial weights; an epoch's draws
        follow from the seed and its number. A training that goes on from a checkpoint yields the
        checkpoint's epoch first.

        Raises:
            InputError: the loss is no longer finite, the method cannot work on what it is given, or
                the checkpoint is damaged.
        """
