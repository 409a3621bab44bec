"""MHPatchcore: a coreset of whitened principal components of PatchCore's features.

Paper: Ferrari et al., "Mahalanobis PatchCore: Covariance-Aware and Streaming-Compatible Industrial
Anomaly Detection", arXiv:2605.27748, 2026. Its authors' code (MIT) and anomalib 2.7.0's
(Apache-2.0) are public; the latter was read, and none of it was taken.

Reads: patch features. Learns: the map, in closed form (``reconpatch.representation.whitening``).

Settings of the paper: WideResNet-50, layers 2 and 3, images resized to 256 px and cropped to 224,
components with 99 % of the variance, a covariance shrunk by 0.07 towards its mean eigenvalue, a
memory bank of 1,000 vectors.

Departs from its paper: components and covariance are exact, of all patches at once, where the paper
goes through them in streams. Coreset and scores are those that all memory banks have here: an exact
greedy coreset of 1 % where the paper merges coresets of mini-batches, plain distances where it
squares them, and the re-weighting of ReConPatch, so that the two differ in their map alone.
"""

from typing import Literal

from reconpatch.methods.layer import LayerMethod
from reconpatch.methods.memory_bank import MemoryBankRecipe
from reconpatch.methods.method import Needs, Sizes
from reconpatch.settings.base import Settings
from reconpatch.settings.representation import WhiteningSettings


class MHPatchcoreRecipe(MemoryBankRecipe):
    """MHPatchcore's settings.

    Attributes:
        representation: components and whitening.
    """

    method: Literal["MHPatchcore"] = "MHPatchcore"
    representation: WhiteningSettings = WhiteningSettings()

    @property
    def learned(self) -> Settings:
        """The settings of the map."""
        return self.representation


class MHPatchcore(LayerMethod[MHPatchcoreRecipe]):
    """A memory bank of whitened components."""

    Recipe = MHPatchcoreRecipe
    learner = "reconpatch.representation.whitening"

    @classmethod
    def _dimension(cls, recipe: MHPatchcoreRecipe) -> None:
        """The variance decides, when the map is learned; it is at most that of patch features."""

    @classmethod
    def needs(cls, recipe: MHPatchcoreRecipe, sizes: Sizes, *, on_gpu: bool) -> Needs:
        """Return the bank's needs, and ``4 (D + 1) d`` bytes for the map, with D for d at most.

        Vectors are never those that lie on disk.
        """
        bank = super().needs(recipe, sizes, on_gpu=on_gpu)
        vector, working = 4 * sizes.dimension, bank.working_bytes
        if recipe.features.stored_as == "float32" and not on_gpu:
            working += vector * (sizes.train_patches + sizes.test_patches)
        return bank._replace(learned_bytes=vector * (sizes.dimension + 1), working_bytes=working)
