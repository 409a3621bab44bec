"""The result of a check, and how it is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

State = Literal["ok", "whole", "here", "partial", "absent", "damaged", "problem", "-"]
COLOURS = {"ok": "green", "whole": "green", "here": "green", "-": "dim"}
SHOWN = 6
"""How many problems of a check are listed; more would not fit on a screen."""


@dataclass(frozen=True)
class Check:
    """The result of a check.

    Attributes:
        name: what was checked.
        detail: what is there: a version, a size, a folder.
        state: whether that is good enough; ``-`` if nothing depends on it.
        problems: what would make a run fail, one line each.
        remedy: how to solve them.
    """

    name: str
    detail: str
    state: State = "ok"
    problems: tuple[str, ...] = ()
    remedy: str = ""


def print_checks(checks: Sequence[Check], console: Console) -> int:
    """Print the checks as a table and the remedies below it; return the number of problems."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for check in checks:
        colour = COLOURS.get(check.state, "bold red")
        table.add_row(check.name, escape(check.detail), f"[{colour}]{check.state}[/]")
    console.print(table)
    for check in checks:
        if check.problems:
            console.print(f"\n[bold]{check.name}[/]")
            for problem in check.problems[:SHOWN]:
                console.print(f"- {escape(problem)}", soft_wrap=True)
            if (more := len(check.problems) - SHOWN) > 0:
                console.print(f"- and {more:,} more")
            console.print(f"[bold]Remedy:[/] {escape(check.remedy)}", soft_wrap=True)
    count = sum(len(check.problems) for check in checks)
    console.print(f"\n{count} problem{'s' * (count != 1)}." if count else "\nNo problems.")
    return count
