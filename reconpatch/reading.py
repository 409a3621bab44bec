"""The commands that print and share reports: show, table, compare, pack."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

import typer

from reconpatch.options import Reports, Results, SuiteName

app = typer.Typer()
PANEL = "Results"


@app.command(rich_help_panel=PANEL)
def show(
    suite: Annotated[str, typer.Argument(help="The suite's name.")],
    reports: Reports = Path("reports"),
) -> None:
    """Print a suite's tables, and the paths of its figures and its report."""
    from reconpatch.reporting.terminal import print_tables

    print_tables(reports / suite)


@app.command(rich_help_panel=PANEL)
def table(
    name: Annotated[str, typer.Argument(help="The table: 5, S3, sensitivity1, ...")],
    suite: SuiteName,
    form: Annotated[
        Literal["terminal", "csv", "markdown", "latex"],
        typer.Option("--format", help="Draw it for the terminal, or print text to paste."),
    ] = "terminal",
    reports: Reports = Path("reports"),
) -> None:
    """Print one of a suite's tables, drawn or as text to paste."""
    from reconpatch.reporting.terminal import print_table

    print_table(reports / suite, name, form)


@app.command(rich_help_panel=PANEL)
def compare(
    first: Annotated[
        str, typer.Argument(help="A suite, a report's folder, a folder of results, or a pack.")
    ],
    second: Annotated[str, typer.Argument(help="What to compare it with.")],
    reports: Reports = Path("reports"),
) -> None:
    """Print the values that differ between two reports, packs or folders of results."""
    from reconpatch.reporting.compare import print_comparison
    from reconpatch.reporting.pack import opened_pack, print_manifest

    with ExitStack() as packs:

        def folder(name: str) -> Path:
            if (reports / name).is_dir():
                return reports / name
            if not Path(name).is_file():
                return Path(name)
            opened, manifest = packs.enter_context(opened_pack(Path(name)))
            print_manifest(name, manifest)
            return opened

        print_comparison(folder(first), folder(second))


@app.command(rich_help_panel=PANEL)
def pack(
    suite: Annotated[str, typer.Argument(help="The suite's name.")],
    output: Annotated[Path | None, typer.Option(help="The zip to write; SUITE.zip.")] = None,
    reports: Reports = Path("reports"),
    results: Results = Path("results"),
) -> None:
    """Pack a suite's tables and the records of its runs into one file to share, without images."""
    from reconpatch.reporting.pack import print_manifest, write_pack

    output = output or Path(f"{suite}.zip")
    print_manifest(str(output), write_pack(reports / suite, results, output))
