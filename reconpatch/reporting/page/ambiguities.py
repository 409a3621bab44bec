"""What the paper leaves open and where it contradicts itself, from the page that users read."""

import re
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pandas as pd
from markdown_it import MarkdownIt

from reconpatch.suites.suite import Suite

CONTRADICTIONS = "Where the paper contradicts itself"


@dataclass(frozen=True)
class Document:
    """``docs/ambiguities.md`` as HTML: what is left open, and the paper's contradictions."""

    choices: str
    contradictions: str


@dataclass(frozen=True)
class Swing:
    """What a sweep does to a metric: its lowest and highest figure of ``count`` values.

    ``apart`` says whether the intervals of these two leave a gap; None where there are none.
    """

    setting: str
    table: str
    metric: str
    count: int
    lowest: float
    highest: float
    apart: bool | None


def document(path: Path) -> Document | None:
    """Return the page as HTML, its headings a level down; None where it is not there."""
    if not path.is_file():
        return None
    before, _, after = path.read_text().partition(f"## {CONTRADICTIONS}\n")
    contradictions, heading, more = after.partition("\n## ")
    choices = before.partition("\n")[2] + heading + more
    return Document(_html(choices, "choices"), _html(contradictions, "contradictions"))


def _html(text: str, about: str) -> str:
    # The page is a single file: links to others lead nowhere.
    text = re.sub(r"\[([^\]]+)\]\((?!#)[^)]+\)", r"\1", text)
    found: str = MarkdownIt().enable("table").render(re.sub(r"^##", "###", text, flags=re.M))
    scrolled = '<div class="wide" tabindex="0" role="region" aria-label="{}"><table>'
    numbers = count(1)
    found = re.sub("<table>", lambda _: scrolled.format(f"Table {next(numbers)} of {about}"), found)
    return found.replace("</table>", "</table></div>").replace("<th>", '<th scope="col">')


def swings(suite: Suite, tables: dict[str, pd.DataFrame]) -> list[Swing]:
    """Return what each sweep does to each metric that it shows."""
    found = []
    for name, experiment in suite.experiments.tables.items():
        if experiment.varies is None:
            continue
        measured = tables[name].dropna(subset=["measured"])
        for metric, figures in measured.groupby("metric", sort=False):
            if len(figures) < 2:
                continue
            ranked = figures.sort_values("measured").to_dict("records")
            low, high = ranked[0], ranked[-1]
            below, above = low["high"], high["low"]
            apart = None if pd.isna(below) or pd.isna(above) else bool(below < above)
            ends = float(low["measured"]), float(high["measured"])
            found.append(Swing(experiment.varies, name, str(metric), len(figures), *ends, apart))
    return found
