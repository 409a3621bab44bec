"""What a report rests on: its runs by recipe, machines, versions, hashes, and what it all took."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from reconpatch.suites.runs import Run

Record = dict[str, Any]


@dataclass(frozen=True)
class MeasuredRecipe:
    """A recipe and its runs, each with its record."""

    key: str
    title: str
    settings: dict[str, Any]
    runs: tuple[tuple[Run, Record], ...]


@dataclass(frozen=True)
class Step:
    """What a step took: over how many times it was done, seconds, and MiB of memory at most."""

    name: str
    times: int
    total: float
    middle: float
    longest: float
    peak: int


def by_recipe(records: Iterable[tuple[Run, Record]]) -> list[MeasuredRecipe]:
    """Return the recipes behind runs, in the order in which they come first."""
    found: dict[str, list[tuple[Run, Record]]] = {}
    for run, record in records:
        found.setdefault(run.recipe.key, []).append((run, record))
    return [
        MeasuredRecipe(
            key,
            runs[0][1]["method"] + (" ensemble" if runs[0][1]["members"] else ""),
            runs[0][1]["recipe"],
            tuple(runs),
        )
        for key, runs in found.items()
    ]


def steps(records: Iterable[tuple[Run, Record]]) -> list[Step]:
    """Return what each step took; what several runs share counts once."""
    seconds: dict[str, dict[str, float]] = {}
    peaks: dict[str, int] = {}
    for run, record in records:
        for name, step in record["steps"].items():
            shared = step.get("fingerprint", run.id)
            seconds.setdefault(name, {})[shared] = sum(step["seconds"].values())
            peaks[name] = max(peaks.get(name, 0), step["peak_mib"])
    return [
        Step(name, len(of), sum(of.values()), median(of.values()), max(of.values()), peaks[name])
        for name, of in seconds.items()
    ]


def provenance_summary(records: Iterable[tuple[Run, Record]]) -> dict[str, list[str]]:
    """Return what runs rest on, each said once."""
    said: dict[str, dict[str, None]] = {}

    def say(about: str, what: str) -> None:
        said.setdefault(about, {})[what] = None

    for _, record in records:
        for step in record["steps"].values():
            if "device" in step:
                say("Device", step["device"])
                say("Commit", step["commit"] or "not in a git checkout")
                say("Versions", ", ".join(f"{k} {v}" for k, v in step["versions"].items()))
        if features := record["steps"].get("features"):
            weights = features["weights"]
            say("Weights", f"{weights['source']}, SHA-256 {weights['sha256']}")
            say("Data", f"{record['category']}: SHA-256 {features['data_sha256']}")
    return {about: list(what) for about, what in said.items()}
