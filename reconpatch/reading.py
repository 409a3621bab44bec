"""The commands that print reports: show, table, compare."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from reconpatch.options import Reports, SuiteName

app = typer.Typer()


@app.command()
def show(
    suite: Annotated[str, typer.Argument(help="The suite's name.")],
    reports: Reports = Path("reports"),
) -> None:
    """Print a suite's tables, and the paths of its figures and its report."""
    from reconpatch.reporting.terminal import print_tables

    print_tables(reports / suite)


@app.command()
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


@app.command()
def compare(
    first: Annotated[
        str, typer.Argument(help="A suite, a report's folder, or a folder of results.")
    ],
    second: Annotated[str, typer.Argument(help="What to compare it with.")],
    reports: Reports = Path("reports"),
) -> None:
    """Print the values that differ between two reports or folders of results, and by how much."""
    from reconpatch.reporting.compare import print_comparison

    def folder(name: str) -> Path:
        return reports / name if (reports / name).is_dir() else Path(name)

    print_comparison(folder(first), folder(second))
