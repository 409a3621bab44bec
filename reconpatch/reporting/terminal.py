"""A report's tables in the terminal, and as text to paste."""

import re
from pathlib import Path
from typing import Literal

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reconpatch.reporting.formats import LEGEND, read_table, reasons, wide
from reconpatch.suites.experiments import parts
from reconpatch.utils.errors import InputError

Format = Literal["terminal", "csv", "markdown", "latex"]
ENDINGS: dict[Format, str] = {"csv": "csv", "markdown": "md", "latex": "tex"}


def print_tables(folder: Path) -> None:
    """Print a report's headline and tables to the terminal, and where figures and report lie.

    Raises:
        InputError: there is no report.
    """
    console = Console(highlight=False)
    tables = _tables(folder)
    if (folder / "headline.txt").is_file():  # Older reports have none.
        console.print((folder / "headline.txt").read_text(), soft_wrap=True, markup=False)
    for path in tables:
        _print(console, path)
    console.print(LEGEND)
    drawn = sorted((folder / "figures").glob("*.png"), key=lambda path: parts(path.stem))
    if drawn:
        names = ", ".join(path.stem for path in drawn)
        console.print(f"Figures: {names}, in {folder / 'figures'}")
    console.print(f"Report: {(folder / 'report.html').resolve().as_uri()}", soft_wrap=True)


def print_table(folder: Path, asked: str, form: Format) -> None:
    """Print one of a report's tables.

    Args:
        folder: the report.
        asked: the table: ``table5``, ``5``, ``S3``, ``Table S3``, ``sensitivity1``.
        form: drawn for the terminal, or as the file to paste.

    Raises:
        InputError: there is no report, or it has no such table.
    """
    named = asked.lower().replace(" ", "")
    wanted = {named, f"table{named}"}
    by_name = {path.stem: path for path in _tables(folder)}
    found = next((path for name, path in by_name.items() if name.lower() in wanted), None)
    if found is None:
        raise InputError(
            f"The report in {folder} has no table {asked}; it has {', '.join(by_name)}."
        )
    if form == "terminal":
        _print(Console(highlight=False), found)
        Console(highlight=False).print(LEGEND)
    else:
        print(found.with_suffix(f".{ENDINGS[form]}").read_text(), end="")


def _tables(folder: Path) -> list[Path]:
    """The tables' CSV files, the paper's first."""
    if not (folder / "report.html").is_file():
        raise InputError(
            f"There is no report in {folder}; make it with "
            f"snakemake --cores all --config suite={folder.name}"
        )
    found = (folder / "tables").glob("*.csv")
    return sorted(found, key=lambda path: (not path.stem.startswith("table"), parts(path.stem)))


def _print(console: Console, path: Path) -> None:
    tidy = read_table(path)
    caption = (path.with_suffix(".md")).read_text().splitlines()[0]
    console.print(f"[bold]{caption}[/]", soft_wrap=True)
    console.print(_in_terminal(wide(tidy, paper_only=False)))
    if missing := reasons(tidy):
        console.print(f"No figure, because: {'; '.join(missing)}.\n", soft_wrap=True)


def _in_terminal(table: pd.DataFrame) -> Table:
    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ["", *table.columns]:
        shown.add_column(re.sub(r" (\()|(,) (?=[wD])", r"\2\n\1", name))
    for cells in table.itertuples():
        # A narrow terminal breaks a cell before the paper's figure, and nowhere else.
        shown.add_row(*(Text(cell.replace(", ", ",\N{NO-BREAK SPACE}")) for cell in cells))
    return shown
