"""ReConPatch: a coreset of patch features that a trained linear layer f represents.

Paper: Hyun et al., "ReConPatch: Contrastive Patch Representation Learning for Industrial Anomaly
Detection", WACV 2024. There is no public code of its authors.

Reads: patch features. Learns: f and g, by contrast among the patches of a mini-batch (Eqs. 1-8).

Departs from its paper: nowhere that is known. What the paper leaves open is a setting, with a line
in docs/ambiguities.md.
"""

from typing import Literal

from reconpatch.methods.layer import LayerMethod
from reconpatch.methods.memory_bank import MemoryBankRecipe
from reconpatch.methods.method import Needs, Sizes
from reconpatch.settings.base import Settings
from reconpatch.settings.representation import RepresentationSettings


class ReConPatchRecipe(MemoryBankRecipe):
    """ReConPatch's settings.

    Attributes:
        representation: the training of f and g.
    """

    method: Literal["ReConPatch"] = "ReConPatch"
    representation: RepresentationSettings = RepresentationSettings()

    @property
    def learned(self) -> Settings:
        """The settings of the training."""
        return self.representation


class ReConPatch(LayerMethod[ReConPatchRecipe]):
    """A memory bank of f(p)."""

    Recipe = ReConPatchRecipe
    learner = "reconpatch.representation.training"

    @classmethod
    def _dimension(cls, recipe: ReConPatchRecipe) -> int:
        return recipe.representation.dimension

    @classmethod
    def needs(cls, recipe: ReConPatchRecipe, sizes: Sizes, *, on_gpu: bool) -> Needs:
        """Return the bank's needs, and ``4 ((1 + s) (D + 1) d + (d + 1) p)`` bytes for f and g.

        s copies of f are kept along the training; p is the dimension of g. The peak is in detection
        or in training. That takes ``step_memory``; on a GPU twice, for its CUDA graph, beside all
        training patches as they are stored. A GPU without room for these has them on the host.
        """
        from reconpatch.representation.step_memory import step_memory

        chosen = recipe.representation
        f = (sizes.dimension + 1) * chosen.dimension
        g = (chosen.dimension + 1) * (chosen.projection_dimension or 0)
        kept = 1 + len(chosen.epochs_kept)
        steps = chosen.epochs * (sizes.train_patches // chosen.batch_size)
        bank = super().needs(recipe, sizes, on_gpu=on_gpu)
        training = step_memory(sizes.dimension, chosen)
        if on_gpu:
            stored = 2 if recipe.features.stored_as == "float16" else 4
            training = 2 * training + stored * sizes.train_patches * sizes.dimension
        return bank._replace(
            steps=steps,
            learned_bytes=4 * (kept * f + g),
            working_bytes=max(bank.working_bytes, training),
        )
