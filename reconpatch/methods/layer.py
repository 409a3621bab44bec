"""What ReConPatch and the linear maps have in common: a memory bank behind a linear layer f."""

from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar

from reconpatch.methods.memory_bank import MemoryBankMethod, MemoryBankRecipe

if TYPE_CHECKING:
    from torch import Tensor, nn

    from reconpatch.features.store import Patches

B = TypeVar("B", bound=MemoryBankRecipe)


class LayerMethod(MemoryBankMethod[B], Generic[B]):
    """A memory bank behind a linear layer f, which its representation's folder holds."""

    @cached_property
    def layer(self) -> "nn.Linear":
        """The layer f."""
        from reconpatch.representation.file import load_representation_layer

        assert self.folder
        return load_representation_layer(self.folder / "representation.safetensors")

    def represent(self, patches: "Patches | Tensor") -> "Tensor":
        """Return ``f(p)`` of patch features."""
        from reconpatch.detection.represent import represent

        return represent(patches, self.layer, self.device)
