"""A fitted estimator on disk: one folder of safetensors and JSON, without pickle."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError

from reconpatch.estimation.folders import atomic_folder
from reconpatch.settings.base import Settings, readable
from reconpatch.utils.errors import InputError
from reconpatch.utils.files import hash_of

if TYPE_CHECKING:
    from torch import Tensor

RECORD = "model.json"
TENSORS = ("model.safetensors", "representation.safetensors")


class Model(Settings):
    """What ``model.json`` holds.

    Attributes:
        estimator: the class.
        parameters: its parameters, without those of the machine.
        recipe: the method's settings in full.
        weights_sha256: the hash of the backbone's weights.
        threshold: of images.
        map_threshold: of maps.
        training_scores: of the training images, each left out.
        fitted_images: how many images it is fitted on.
        images: where the training images lie, to add to them; empty where they were no files.
        files: the hashes of the other files.
        version: the package that wrote it.
        form: of this file.
    """

    estimator: str
    parameters: dict[str, Any]
    recipe: dict[str, Any]
    weights_sha256: str
    threshold: float
    map_threshold: float
    training_scores: tuple[float, ...]
    fitted_images: int
    images: tuple[str, ...] = ()
    files: dict[str, str] = Field(default_factory=dict)
    version: str = ""
    form: Literal[1] = 1


def write_model(
    folder: Path, model: Model, fitted: "dict[str, Tensor]", representation: "dict[str, Tensor]"
) -> None:
    """Write a model to a new folder, whole or not at all.

    Raises:
        InputError: the folder exists and is not empty.
    """
    from safetensors.torch import save_file

    with atomic_folder(folder) as aside:
        hashes = {}
        for name, tensors in zip(TENSORS, (fitted, representation), strict=True):
            save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, aside / name)
            hashes[name] = hash_of(aside / name)
        whole = model.model_copy(update={"files": hashes, "version": version("reconpatch")})
        # Parameters may be NumPy's numbers.
        text = json.dumps(whole.model_dump(), indent=2, default=lambda value: value.item())
        (aside / RECORD).write_text(f"{text}\n")


def read_record(folder: Path) -> Model:
    """Return what ``model.json`` of a model's folder holds.

    Raises:
        InputError: the folder holds no model, or the file is damaged.
    """
    path = folder / RECORD
    if not path.is_file():
        raise InputError(
            f"{folder} holds no fitted model: {path} is missing. Write one with reconpatch fit, or "
            "give the folder that was its --output."
        )
    try:
        return Model.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError(f"{path} is damaged ({readable(error)}); fit anew.") from None


def read_model(folder: Path) -> "tuple[Model, dict[str, Tensor], dict[str, Tensor]]":
    """Return a model, its fitted tensors and its representation's.

    Raises:
        InputError: the folder holds no model, or a file of it is missing or damaged.
    """
    from safetensors.torch import load_file

    model = read_record(folder)
    for name in TENSORS:
        path = folder / name
        if not path.is_file() or hash_of(path) != model.files.get(name):
            raise InputError(
                f"{path} is missing or damaged: its SHA-256 is not the one in {RECORD}. Copy the "
                "whole folder again, or fit anew."
            )
    fitted, representation = (load_file(folder / name) for name in TENSORS)
    return model, fitted, representation
