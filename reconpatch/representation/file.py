"""A learned representation on disk."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from reconpatch.utils.errors import InputError


def load_representation_layer(path: Path) -> nn.Linear:
    """Return f alone, from a learned representation's file.

    Raises:
        InputError: the file is damaged or holds no representation.
    """
    try:
        tensors = load_file(path)
        weight, bias = tensors["f.weight"], tensors["f.bias"]
    except (OSError, SafetensorError, KeyError) as error:
        raise InputError(
            f"{path} holds no trained representation ({error}). Delete {path.parent} and make it "
            "anew."
        ) from None
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer
