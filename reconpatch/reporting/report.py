"""A suite's tables on disk, its report page, and its tables in the terminal."""

import re
from base64 import b64encode
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reconpatch.errors import InputError
from reconpatch.files import whole
from reconpatch.grid import AVERAGE, KINDS, Run, batches
from reconpatch.reporting.formats import LEGEND, NOT_MEASURED, NOT_RUN, PAIR, latex, markdown, wide
from reconpatch.reporting.table import Results, table
from reconpatch.suite import Suite


def write_report(suite: Suite, results: Path, published: Path, folder: Path) -> None:
    """Write ``tables/*.{csv,md,tex}`` and ``report.html``, each whole or not at all.

    Args:
        suite: what to show.
        results: the folder of all results.
        published: the folder that holds the paper's tables.
        folder: where the report goes; its figures are there.
    """
    read = Results(results / "runs")
    texts: dict[str, str] = {}
    shown = []
    for name, experiment in suite.experiments.tables.items():
        tidy = table(suite, name, read, _printed(published / f"{name}.csv"))
        whole_table = wide(tidy)
        caption = _caption(tidy, f"{title(name)}: {experiment.caption}.")
        texts[f"tables/{name}.csv"] = tidy.to_csv(index=False, float_format="%.6f")
        texts[f"tables/{name}.md"] = f"{caption}\n\n{markdown(whole_table)}"
        texts[f"tables/{name}.tex"] = latex(whole_table, caption, f"tab:{name}")
        shown.append((name, caption, whole_table.reset_index(names=""), _reasons(tidy)))
    figures = {
        name: (figure, folder / "figures" / f"{name}.png")
        for name, figure in suite.experiments.figures.items()
    }
    runs = [run for batch in batches(suite) for run in batch.runs]
    stories = [(run, story) for run in runs if (story := read.story(run, "metrics.json"))]
    template = Environment(autoescape=True).from_string(
        (files(__package__) / "report.html").read_text()
    )
    texts["report.html"] = template.render(
        suite=suite,
        tables=shown,
        figures=[
            (name, f"{title(name)}: {figure.caption}.", _data_uri(path))
            for name, (figure, path) in figures.items()
            if path.is_file()
        ],
        not_drawn=[title(name) for name, (_, path) in figures.items() if not path.is_file()],
        title=title,
        means=[*KINDS.values(), AVERAGE],
        runs=stories,
        missing=len(runs) - len(stories),
        provenance=_provenance(stories),
        legend=LEGEND,
        seconds=lambda story: sum(story["seconds"].values()),
    )
    for name, text in texts.items():
        with whole(folder / name) as aside:
            aside.write_text(text)


def _reasons(tidy: pd.DataFrame) -> list[str]:
    """Why figures of ours are missing, each said once."""
    ours = tidy.loc[tidy["reason"] != NOT_RUN, "reason"].dropna()
    reasons = dict.fromkeys(reason for said in ours for reason in said.split("; "))
    missing = [reason for reason in reasons if reason.startswith(NOT_MEASURED)]
    return [
        *(reason for reason in reasons if reason not in missing),
        *missing[:1],
        *([f"and so are {len(missing) - 1} other runs"] if len(missing) > 1 else []),
    ]


def _printed(path: Path) -> pd.DataFrame:
    """What the paper prints; nothing where the table is not the paper's."""
    if path.is_file():
        return pd.read_csv(path, dtype=str)
    return pd.DataFrame(columns=["row", "column", "metric", "value"])


def _caption(tidy: pd.DataFrame, caption: str) -> str:
    pairs = tidy.groupby(["row", "column"], sort=False).size().gt(1).any()
    return f"{caption} {PAIR}" if pairs else caption


def _data_uri(path: Path) -> str:
    return f"data:image/png;base64,{b64encode(path.read_bytes()).decode()}"


def _provenance(stories: Iterable[tuple[Run, dict[str, Any]]]) -> dict[str, list[str]]:
    """What the runs rest on, each said once."""
    said: dict[str, dict[str, None]] = {}

    def say(about: str, what: str) -> None:
        said.setdefault(about, {})[what] = None

    for _, story in stories:
        for step in story["steps"].values():
            if "device" in step:
                say("Device", step["device"])
                say("Commit", step["commit"] or "not in a git checkout")
                say("Versions", ", ".join(f"{k} {v}" for k, v in step["versions"].items()))
        if features := story["steps"].get("features"):
            weights = features["weights"]
            say("Weights", f"{weights['source']}, SHA-256 {weights['sha256']}")
            say("Data", f"{story['category']}: SHA-256 {features['data_sha256']}")
    return {about: list(what) for about, what in said.items()}


def print_tables(folder: Path) -> None:
    """Print a report's tables to the terminal, and where figures and report lie.

    Raises:
        InputError: there is no report.
    """
    if not (folder / "report.html").is_file():
        raise InputError(
            f"There is no report in {folder}; make it with "
            f"snakemake --cores all --config suite={folder.name}"
        )
    console = Console(highlight=False)
    for path in sorted((folder / "tables").glob("*.csv"), key=lambda path: parts(path.stem)):
        tidy = pd.read_csv(path, dtype={"row": str, "column": str, "paper": str})
        caption = (path.with_suffix(".md")).read_text().splitlines()[0]
        console.print(f"[bold]{caption}[/]", soft_wrap=True)
        console.print(_in_terminal(wide(tidy, paper_only=False)))
        if reasons := _reasons(tidy):
            console.print(f"No figure, because: {'; '.join(reasons)}.\n", soft_wrap=True)
    console.print(LEGEND)
    drawn = sorted((folder / "figures").glob("*.png"), key=lambda path: parts(path.stem))
    if drawn:
        names = ", ".join(path.stem for path in drawn)
        console.print(f"Figures: {names}, in {folder / 'figures'}")
    console.print(f"Report: {(folder / 'report.html').resolve().as_uri()}", soft_wrap=True)


def _in_terminal(table: pd.DataFrame) -> Table:
    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ["", *table.columns]:
        shown.add_column(name.replace(" (", "\n(").replace(", w", ",\nw").replace(", D", ",\nD"))
    for cells in table.itertuples():
        # A narrow terminal breaks a cell before the paper's figure, and nowhere else.
        shown.add_row(*(Text(cell.replace(", ", ",\N{NO-BREAK SPACE}")) for cell in cells))
    return shown
