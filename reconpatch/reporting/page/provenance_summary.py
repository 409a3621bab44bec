"""What a report rests on: its runs by recipe, machines, versions, hashes, and what it all took."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from reconpatch.suites.runs import Run

Record = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """What a step took: over how many times it was done, seconds, and MiB of memory at most."""

    name: str
    times: int
    total: float
    middle: float
    longest: float
    peak: int


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
    said: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for _, record in records:
        for step in record["steps"].values():
            if "device" in step:
                versions = ", ".join(f"{name} {of}" for name, of in step["versions"].items())
                said["Device"][step["device"]] = None
                said["Commit"][step["commit"] or "not in a git checkout"] = None
                said["Versions"][versions] = None
        if features := record["steps"].get("features"):
            weights = features["weights"]
            said["Weights"][f"{weights['source']}, SHA-256 {weights['sha256']}"] = None
            said["Data"][f"{record['category']}: SHA-256 {features['data_sha256']}"] = None
    return {about: list(what) for about, what in said.items()}
