"""A backbone's weights file, read without executing code from it."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from reconpatch.utils.errors import InputError, first_line


@dataclass(frozen=True)
class Weights:
    """A weights file.

    Attributes:
        path: the file.
        source: where it came from, in words.
        sha256: its hash, for provenance.
        architecture: the timm model whose tensor names the file's tensors take in order, or None
            where the file has timm's or torchvision's names.
    """

    path: Path
    source: str
    sha256: str
    architecture: str | None = None

    def tensors(self) -> dict[str, Tensor]:
        """Read the file without executing code from it.

        Raises:
            InputError: the file is damaged, holds more than tensors, or has another shape.
        """
        try:
            if self.path.suffix == ".safetensors":
                tensors = load_file(self.path)
            else:
                tensors = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise InputError(
                f"{self.path} cannot be read as weights: {first_line(error)} "
                "Replace it with a whole copy; files that hold more than tensors are not loaded."
            ) from None
        # timm would take an empty mapping for none at all, and fetch other weights.
        named = isinstance(tensors, dict) and tensors
        if not (named and all(isinstance(tensor, Tensor) for tensor in tensors.values())):
            raise InputError(
                f"{self.path} does not hold tensors by name. A training checkpoint often has them "
                "one level down: save that part, the state dict, alone."
            )
        return tensors if self.architecture is None else self._renamed(tensors)

    def _renamed(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        import timm

        expected = timm.create_model(self.architecture).state_dict()
        if [t.shape for t in tensors.values()] != [t.shape for t in expected.values()]:
            raise InputError(f"{self.path} does not hold the weights of {self.architecture}.")
        return dict(zip(expected, tensors.values(), strict=True))
