"""Options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from reconpatch.suites.suite import Suite

PACKAGE = Path(__file__).parent


def config_folder(given: Path) -> Path:
    """Return the folder of suites: the one given or, where there is none, that of the package.

    A wheel carries it in the package; an editable installation has it beside the package.
    """
    if given.exists() or given != Path("config"):
        return given
    carried = PACKAGE / "config"
    return carried if carried.is_dir() else PACKAGE.parent / "config"


Folder = Annotated[Path, typer.Option(help="The folder to write to.")]
SuiteName = Annotated[str, typer.Option(help="The suite: the name of a file in config/suites.")]
DataRoot = Annotated[Path, typer.Option(help="The folder of the data sets.")]
Config = Annotated[
    Path,
    typer.Option(
        help="The folder of suites, experiments and published tables; where the working folder has "
        "no config, it is the package's own.",
        callback=config_folder,
    ),
]
Results = Annotated[Path, typer.Option(help="The folder of all measured results.")]
Reports = Annotated[Path, typer.Option(help="The folder of all reports.")]
Weights = Annotated[Path, typer.Option(help="The folder of local weight files.")]
TextureFolder = Annotated[Path, typer.Option(help="The folder of DTD; it may be missing.")]
Seed = Annotated[int, typer.Option(help="The seed of all random draws.", min=0)]
Device = Annotated[
    str,
    typer.Option(
        help="cpu, cuda: a free GPU, cuda:N, mps: Apple's, or auto: a GPU if there is one."
    ),
]
Precision = Annotated[
    Literal["highest", "high"],
    typer.Option(help="high: TF32 in matrix products and convolutions on a GPU."),
]
Threads = Annotated[
    int, typer.Option(help="CPU threads; other numbers may change the last bits.", min=1)
]


def suite_named(name: str, data_root: Path, config: Path) -> "Suite":
    """Return the suite of this name in ``config``; raises as ``load_suite``."""
    from reconpatch.suites.suite import load_suite

    return load_suite(config / "suites" / f"{name}.yaml", data_root, config)
