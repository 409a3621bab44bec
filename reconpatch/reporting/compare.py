"""Two reports, or two folders of results, side by side: what moved, and whether that is chance."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from reconpatch.evaluation.bootstrap import interval
from reconpatch.reporting.formats import METRICS, MISSING, read_table
from reconpatch.suites.experiments import title
from reconpatch.utils.errors import InputError
from reconpatch.utils.record import read_record, whole

COLUMNS = ["where", "metric", "first", "second", "moved", "beyond"]
COMPARED = ("image_auroc", "pixel_auroc")


def compare(first: Path, second: Path) -> tuple[pd.DataFrame, int]:
    """Return the figures that both have, those beyond chance and those that moved far first.

    Columns are ``where``, ``metric``, ``first``, ``second``, ``moved`` (second less first) and
    ``beyond``: whether the 95 % intervals leave a gap; None where one is missing. Of the same run
    on the same images the replicates are paired, and ``beyond`` says whether the interval of their
    difference leaves zero out. The second value counts the figures that one alone has.

    Raises:
        InputError: they are neither reports nor folders of results, or not of one sort.
    """
    sorts = [_sort(folder) for folder in (first, second)]
    if sorts[0] != sorts[1]:
        raise InputError(
            f"{first} is a folder of {sorts[0]}, {second} one of {sorts[1]}; give two of one sort."
        )
    read = _reported if sorts[0] == "reports" else _measured
    a, b = read(first), read(second)
    records = [
        {
            "where": place[0],
            "metric": place[-1],
            "first": a[place]["value"],
            "second": b[place]["value"],
            "moved": b[place]["value"] - a[place]["value"],
            "beyond": _beyond(a[place], b[place]),
        }
        for place in a
        if place in b
    ]
    records.sort(key=lambda record: (record["beyond"] is not True, -abs(record["moved"])))
    return pd.DataFrame(records, columns=COLUMNS), len(a.keys() ^ b.keys())


def _sort(folder: Path) -> str:
    if (folder / "tables").is_dir():
        return "reports"
    if (folder / "runs").is_dir():
        return "results"
    raise InputError(
        f"{folder} is neither a report (it has no folder tables) nor a folder of results (it has "
        "no folder runs). Name a suite whose report is there, or a folder."
    )


Found = dict[tuple[str, ...], dict[str, Any]]


def _reported(folder: Path) -> Found:
    """A report's measured figures; a column is the same whatever its suite's model is called."""
    found: Found = {}
    for path in sorted((folder / "tables").glob("*.csv")):
        for cell in read_table(path).dropna(subset=["measured"]).to_dict("records"):
            column = re.sub(r" \([^)]*\)$", "", cell["column"])
            where = f"{title(path.stem)}, {cell['row']}, {column}"
            again = sum(place[0] == where and place[-1] == cell["metric"] for place in found)
            found[where, str(again), cell["metric"]] = {
                "value": cell["measured"],
                "ends": (cell["low"], cell["high"]),
            }
    return found


def _measured(folder: Path) -> Found:
    """The figures of all runs in a folder of results."""
    found: Found = {}
    for path in sorted((folder / "runs").glob("*/*/*/*/metrics.json")):
        record = read_record(path)
        run = path.parent.relative_to(folder / "runs").as_posix()
        with np.load(whole(path, "replicates.npz")) as archive:
            replicates = {name: 100 * archive[name] for name in COMPARED if name in archive}
        features = record["steps"].get("features", {})
        for metric, resampled in replicates.items():
            found[f"{run} ({record['method']})", metric] = {
                "value": 100 * record["metrics"][metric],
                "ends": interval(resampled),
                "replicates": resampled,
                "images": features.get("data_sha256"),
            }
    return found


def _beyond(first: dict[str, Any], second: dict[str, Any]) -> bool | None:
    if first.get("images") and first["images"] == second["images"]:
        low, high = interval(second["replicates"] - first["replicates"])
        return bool(low > 0 or high < 0)
    (low, high), (other_low, other_high) = first["ends"], second["ends"]
    if np.isnan([low, high, other_low, other_high]).any():
        return None
    return bool(high < other_low or other_high < low)


def print_comparison(first: Path, second: Path) -> None:
    """Print what moved between two reports or folders of results, and how many figures did not."""
    found, alone = compare(first, second)
    console = Console(highlight=False)
    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    shown.add_column("")
    for name in ("Metric", first.name or str(first), second.name or str(second), "Moved", "95 %"):
        shown.add_column(name, justify="right")
    moved = found[found["moved"].abs() >= 0.005]
    said = {True: "beyond", False: "within", None: MISSING}
    for row in moved.to_dict("records"):
        form = METRICS[row["metric"]]
        shown.add_row(
            row["where"],
            form.name,
            form.text(row["first"]),
            form.text(row["second"]),
            f"{row['moved']:+.{form.decimals}f}",
            said[row["beyond"]],
        )
    if len(moved):
        console.print(shown)
    beyond = int((moved["beyond"] == True).sum())  # noqa: E712
    console.print(
        f"{len(found)} figures are in both; {len(moved)} moved, {beyond} of them beyond the "
        f"intervals. {alone} are in one alone."
    )
