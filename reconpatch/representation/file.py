"""A trained representation on disk."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from reconpatch.utils.errors import InputError
from reconpatch.utils.files import atomic_write


def save_representation(network: nn.Module, path: Path) -> None:
    """Write f, and g where there is one, as safetensors, whole or not at all.

    Args:
        network: has ``f`` and perhaps ``g``.
        path: the file.
    """
    with atomic_write(path) as aside:
        save_file({name: t.contiguous() for name, t in network.state_dict().items()}, aside)


def load_representation_layer(path: Path) -> nn.Linear:
    """Return f alone, from the file that ``save_representation`` wrote.

    Raises:
        InputError: the file is damaged or holds no representation.
    """
    try:
        tensors = load_file(path)
        weight, bias = tensors["f.weight"], tensors["f.bias"]
    except (OSError, SafetensorError, KeyError) as error:
        raise InputError(
            f"{path} holds no trained representation ({error}); delete it, and the next run trains "
            "it anew."
        ) from None
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer
