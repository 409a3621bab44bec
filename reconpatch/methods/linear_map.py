"""Linear map: a coreset of patch features behind a linear map in closed form.

Paper: none; these are controls. They tell how much of ReConPatch's result is the projection alone,
or what any map gives that knows the features' covariance or neighbourhoods.

Reads: patch features. Learns: the map, in closed form (``reconpatch.representation.linear_maps``).
"""

from typing import Literal

from reconpatch.methods.layer import LayerMethod
from reconpatch.methods.memory_bank import MemoryBankRecipe
from reconpatch.methods.method import Needs, Sizes
from reconpatch.settings.base import Settings
from reconpatch.settings.representation import LinearMapSettings


class LinearMapRecipe(MemoryBankRecipe):
    """A control's settings.

    Attributes:
        representation: which map, and its dimension.
    """

    method: Literal["linear map"] = "linear map"
    representation: LinearMapSettings = LinearMapSettings()

    @property
    def learned(self) -> Settings:
        """The settings of the map."""
        return self.representation


class LinearMap(LayerMethod[LinearMapRecipe]):
    """A memory bank of mapped patch features."""

    Recipe = LinearMapRecipe
    learner = "reconpatch.representation.linear_maps"

    @classmethod
    def _dimension(cls, recipe: LinearMapRecipe) -> int:
        return recipe.representation.dimension

    @classmethod
    def needs(cls, recipe: LinearMapRecipe, sizes: Sizes, *, on_gpu: bool) -> Needs:
        """Return the bank's needs, and ``4 (D + 1) d`` bytes for the map."""
        bank = super().needs(recipe, sizes, on_gpu=on_gpu)
        return bank._replace(learned_bytes=4 * (sizes.dimension + 1) * cls._dimension(recipe))
