"""From a backbone's name to its weights, and to the network that carries them.

Weights come from a registry package, a local folder, or timm's download, in that order.
"""

import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlparse

import torch
from huggingface_hub import hf_hub_download

from reconpatch.features.backbones import Backbone, build_backbone, map_indices
from reconpatch.features.presets import presets, timm_name
from reconpatch.features.weights import Weights
from reconpatch.fetching.download import download
from reconpatch.utils.errors import InputError
from reconpatch.utils.files import hash_of

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


def load_backbone(
    name: str, layers: tuple[int, ...], weights_folder: Path, device: torch.device
) -> Backbone:
    """Return the backbone ``name``, a preset or any timm model that can give feature maps.

    Raises:
        InputError: timm does not know the name, the model has no map at a layer's stride, or its
            weights are not found or do not fit.
    """
    known_as = timm_name(name)
    # Before weights are looked for, which may be a long download.
    indices = map_indices(known_as, layers)
    return build_backbone(known_as, indices, find_weights(name, weights_folder), device)


def find_weights(name: str, folder: Path) -> Weights:
    """Return the weights of backbone ``name``.

    Args:
        name: the preset's or timm's name; a local file is called ``NAME.safetensors``,
            ``NAME.pth`` or, as torchvision has it, ``NAME-HASH.pth`` with the beginning of its
            SHA-256.
        folder: the local folder; it need not exist. A download goes there where timm knows its
            address and hash, and into Hugging Face's cache where it does not.

    Raises:
        InputError: timm does not know the name, or the weights are found in none of the three
            places, or twice in the folder, or with another hash than their name says.
    """
    return weights_here(name, folder) or _downloaded(name, folder)


def weights_here(name: str, folder: Path) -> Weights | None:
    """Return the weights of a package or of the local folder, None where there are none.

    Raises:
        InputError: timm does not know the name, or the weights are found twice in the folder, or
            with another hash than their name says.
    """
    known_as = timm_name(name)
    preset = presets().get(name)
    spec = find_spec(preset.package) if preset and preset.package else None
    if spec and spec.origin:
        (path,) = Path(spec.origin).parent.glob("models/*.pth")
        return Weights(path, f"package {spec.name}", hash_of(path), known_as)
    stems = {name, known_as}
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


def _downloaded(name: str, folder: Path) -> Weights:
    import timm

    config = timm.get_pretrained_cfg(timm_name(name))
    preset = presets().get(name)
    url = (preset and preset.address) or config.url or ""
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
