"""What ``config/config.yaml`` and ``--config`` set, checked before the first job."""

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationError

from reconpatch.settings.base import FolderName, Settings, readable
from reconpatch.utils.errors import InputError


def _names_a_device(name: str) -> str:
    if not re.fullmatch("cpu|auto|mps|cuda(:[0-9]{1,3})?", name):
        raise ValueError(f"there is no {name}; give cpu, cuda, cuda:N, mps or auto")
    return name


Folder = Annotated[str, StringConstraints(min_length=1)]
# YAML reads a bare off as false.
CudaGraph = Annotated[
    Literal["auto", "off"], BeforeValidator(lambda value: "off" if value is False else value)
]


class WorkflowConfig(Settings):
    """The workflow's settings, which decide how a suite runs and none of its numbers.

    Attributes:
        suite: the name of a file in ``config/suites``.
        data_root: the folder of the data sets.
        weights_folder: the folder of local weight files.
        textures_folder: the folder of DTD.
        device: ``cpu``, ``cuda``, ``cuda:N``, ``mps`` or ``auto``.
        matrix_precision: of matrix products and convolutions on a GPU.
        threads: CPU threads of a job.
        cuda_graph: whether a GPU replays training steps.
    """

    suite: FolderName
    data_root: Folder
    weights_folder: Folder
    textures_folder: Folder
    device: Annotated[str, AfterValidator(_names_a_device)]
    matrix_precision: Literal["highest", "high"]
    threads: Annotated[int, Field(ge=1, le=1024)]
    cuda_graph: CudaGraph


def check_config(config: Mapping[str, Any], accepting: Collection[str]) -> None:
    """Check what Snakemake was given; ``accepting`` names the settings that accept licences.

    Raises:
        InputError: a setting is unknown, missing or impossible.
    """
    known = {*WorkflowConfig.model_fields, *accepting}
    if unknown := set(config) - known:
        raise InputError(
            f"config has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}."
        )
    try:
        WorkflowConfig.model_validate({n: v for n, v in config.items() if n not in accepting})
    except ValidationError as error:
        raise InputError(
            f"config (config/config.yaml or --config) cannot be used: {readable(error)}"
        ) from None
