"""What a report rests on: its runs by recipe, machines, versions, hashes, and what it all took."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from reconpatch.grid import Run

Story = dict[str, Any]


@dataclass(frozen=True)
class MeasuredRecipe:
    """A recipe and its runs, each with its story."""

    key: str
    title: str
    settings: dict[str, Any]
    runs: tuple[tuple[Run, Story], ...]


@dataclass(frozen=True)
class Step:
    """What a step took: over how many times it was done, seconds, and MiB of memory at most."""

    name: str
    times: int
    total: float
    middle: float
    longest: float
    peak: int


def by_recipe(stories: Iterable[tuple[Run, Story]]) -> list[MeasuredRecipe]:
    """Return the recipes behind runs, in the order in which they come first."""
    found: dict[str, list[tuple[Run, Story]]] = {}
    for run, story in stories:
        found.setdefault(run.recipe.key, []).append((run, story))
    return [
        MeasuredRecipe(
            key,
            runs[0][1]["method"] + (" ensemble" if runs[0][1]["members"] else ""),
            runs[0][1]["recipe"],
            tuple(runs),
        )
        for key, runs in found.items()
    ]


def steps(stories: Iterable[tuple[Run, Story]]) -> list[Step]:
    """Return what each step took; what several runs share counts once."""
    seconds: dict[str, dict[str, float]] = {}
    peaks: dict[str, int] = {}
    for run, story in stories:
        for name, step in story["steps"].items():
            shared = step.get("fingerprint", run.id)
            seconds.setdefault(name, {})[shared] = sum(step["seconds"].values())
            peaks[name] = max(peaks.get(name, 0), step["peak_mib"])
    return [
        Step(name, len(of), sum(of.values()), median(of.values()), max(of.values()), peaks[name])
        for name, of in seconds.items()
    ]


def origin(stories: Iterable[tuple[Run, Story]]) -> dict[str, list[str]]:
    """Return what runs rest on, each said once."""
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
