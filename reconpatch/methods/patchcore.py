"""PatchCore: a coreset of the patch features themselves.

Paper: Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022. Its public
code (amazon-science/patchcore-inspection, Apache-2.0) was read, and none of it was taken.

Reads: patch features. Learns: nothing.

Departs from its paper: the coreset is the exact greedy one in the full dimension, where the public
code selects approximately on a random projection. Images are scored as in the paper, by the top
patch, re-weighted; its public code leaves that out. Distances are squared as in that code, which
changes anomaly maps; the paper has them plain.
"""

from typing import TYPE_CHECKING, Literal

from reconpatch.methods.memory_bank import MemoryBankMethod, MemoryBankRecipe
from reconpatch.settings.detection import DetectionSettings
from reconpatch.settings.representation import PoolingSettings

if TYPE_CHECKING:
    from torch import Tensor

    from reconpatch.features.store import Patches


class PatchCoreDetectionSettings(DetectionSettings):
    """PatchCore's own form of Eqs. 9-10."""

    reweighting: Literal["every_patch", "top_patch", "none"] = "top_patch"
    squared_distances: bool = True


class PatchCoreRecipe(MemoryBankRecipe):
    """PatchCore's settings.

    Attributes:
        detection: from features to scores.
        representation: the dimension that patch features are pooled to, where one is given.
    """

    method: Literal["PatchCore"] = "PatchCore"
    detection: PatchCoreDetectionSettings = PatchCoreDetectionSettings()
    representation: PoolingSettings = PoolingSettings()


class PatchCore(MemoryBankMethod[PatchCoreRecipe]):
    """A memory bank of patch features, pooled to fewer dimensions where asked for."""

    Recipe = PatchCoreRecipe

    @classmethod
    def _dimension(cls, recipe: PatchCoreRecipe) -> int | None:
        return recipe.representation.dimension

    def represent(self, patches: "Patches | Tensor") -> "Tensor":
        """Return patch features, averaged over neighbouring channels to the dimension."""
        from reconpatch.detection.represent import represent

        dimension = self.recipe.representation.dimension
        return represent(patches, None, self.device, pooled_dimension=dimension)
