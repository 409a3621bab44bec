"""A suite's tables on disk, its report page, and its table in the terminal."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment
from rich.box import SIMPLE_HEAVY
from rich.console import Console
from rich.table import Table

from reconpatch.errors import InputError
from reconpatch.files import read_json, whole
from reconpatch.reporting.formats import latex, markdown, wide
from reconpatch.reporting.table5 import AVERAGE, MEANS, table5
from reconpatch.suite import Suite

CAPTION = "Image and pixel AUROC in percent"


def write_report(suite: Suite, results: Path, published: Path, folder: Path) -> None:
    """Write ``tables/table5.{csv,md,tex}`` and ``report.html``, each whole or not at all.

    Args:
        suite: what to show.
        results: the folder that holds the runs.
        published: the folder that holds the paper's tables.
        folder: where the report goes.
    """
    tidy = table5(suite, results, pd.read_csv(published / "table5.csv"))
    table = wide(tidy)
    caption = f"{CAPTION}: {suite.title}."
    runs = [(run, results / run.id / "metrics.json") for run in suite.runs()]
    stories = [
        {
            "id": run.id,
            "name": run.category,
            "column": _names(suite, run.recipe.key),
            **read_json(p),
        }
        for run, p in runs
        if p.is_file()
    ]
    template = Environment(autoescape=True).from_string(
        (files(__package__) / "report.html").read_text()
    )
    page = template.render(
        suite=suite,
        caption=caption,
        table=table.reset_index(),
        runs=stories,
        missing=[run.id for run, path in runs if not path.is_file()],
        means=[*MEANS.values(), AVERAGE],
        reasons=sorted({text for run in stories for text in _reasons(run)}),
        seconds=lambda story: sum(story["seconds"].values()),
    )
    texts = {
        "tables/table5.csv": tidy.to_csv(index=False),
        "tables/table5.md": f"{caption}\n\n{markdown(table)}",
        "tables/table5.tex": latex(table, caption, "tab:table5"),
        "report.html": page,
    }
    for name, text in texts.items():
        with whole(folder / name) as aside:
            aside.write_text(text)


def print_table(folder: Path) -> None:
    """Print a report's table to the terminal, and where the report lies.

    Raises:
        InputError: there is no report.
    """
    path = folder / "tables" / "table5.csv"
    if not path.is_file():
        raise InputError(
            f"There is no report in {folder}; make it with "
            f"snakemake --cores all --config suite={folder.name}"
        )
    table = wide(pd.read_csv(path))
    shown = Table(title=CAPTION, box=SIMPLE_HEAVY, pad_edge=False, collapse_padding=True)
    for name in ["Class", *table.columns]:
        shown.add_column(name.replace(", ", ",\n"), no_wrap=True)
    for row, *cells in table.itertuples():
        # Without the parentheses five columns fit a terminal of 80.
        shown.add_row(row, *(cell.strip("()") for cell in cells))
    console = Console()
    console.print(shown)
    console.print(f"Report: {(folder / 'report.html').resolve().as_uri()}", soft_wrap=True)


def _names(suite: Suite, key: str) -> str:
    return ", ".join(dict.fromkeys(c.name for c in suite.table5 if c.recipe.key == key))


def _reasons(run: dict[str, Any]) -> list[str]:
    return [f"{run['category']}: {reason}" for reason in run["reasons"].values()]
