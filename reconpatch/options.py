"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Folder = Annotated[Path, typer.Option(help="The folder to write to.")]
SuiteName = Annotated[str, typer.Option(help="The suite: the name of a file in config/suites.")]
DataRoot = Annotated[Path, typer.Option(help="The folder of the data sets.")]
Config = Annotated[
    Path, typer.Option(help="The folder of suites, experiments and published tables.")
]
Results = Annotated[Path, typer.Option(help="The folder of all measured results.")]
Reports = Annotated[Path, typer.Option(help="The folder of all reports.")]
Weights = Annotated[Path, typer.Option(help="The folder of local weight files.")]
TextureFolder = Annotated[Path, typer.Option(help="The folder of DTD; it may be missing.")]
Seed = Annotated[int, typer.Option(help="The seed of all random draws.", min=0)]
Device = Annotated[
    str, typer.Option(help="cpu, cuda: a free GPU, cuda:N, or auto: a GPU if there is one.")
]
Precision = Annotated[
    Literal["highest", "high"],
    typer.Option(help="high: TF32 in matrix products and convolutions on a GPU."),
]
Threads = Annotated[
    int, typer.Option(help="CPU threads; other numbers may change the last bits.", min=1)
]
