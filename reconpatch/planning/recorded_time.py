"""Time of what has no result yet, from the seconds that finished work recorded.

Nothing is timed and nothing is guessed. A recipe's seconds come from its finished runs on any
category with any seed, patch features' from the same features of any category. Each step's seconds
are scaled by the numbers of images, and of several records the median counts. What was finished
nowhere is unknown.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from reconpatch.datasets.category import Category
from reconpatch.planning.workload import Images, Workload
from reconpatch.utils.record import read_record

GROWTH = {
    "backbone": (0, 0),
    "train": (1, 0),
    "training": (1, 0),
    "diagnostics": (1, 0),
    "simulated images": (1, 0),
    "refinement training": (1, 0),
    "method training": (1, 0),
    "fit": (2, 0),
    "training scores": (2, 0),
    "scoring": (1, 1),
}
"""To which powers of the numbers of training and of test images a step's seconds grow.

Training steps are proportional to training images, and so is a memory bank's size: its coreset
compares each patch with each of the bank. What is not named here grows with test images alone.
"""


class Record(NamedTuple):
    """What a finished run, or finished patch features, recorded.

    Attributes:
        key: of the recipe, or of the features' settings.
        device: the name of the device that did all of it.
        train: training images of its category; ``test``, its test images.
        seconds: of each step.
    """

    key: str
    device: str
    train: int
    test: int
    seconds: dict[str, float]

    def scaled(self, step: str, images: Images) -> float:
        """Return a step's seconds on another category."""
        train, test = GROWTH.get(step, (0, 1))
        ratio = (images.train / self.train) ** train * (images.test / self.test) ** test
        return self.seconds[step] * ratio


@dataclass
class Remaining:
    """A rule's jobs: how many are done, and the seconds of the others as far as they are known.

    Of ``unknown`` jobs some part was finished nowhere.
    """

    done: int = 0
    seconds: float = 0.0
    unknown: int = 0


def read_records(results: Path, *, on_gpu: bool) -> list[Record]:
    """Return the records of one device: of all CPUs, or all GPUs, the one that has most of them."""
    found = [record for record in _records(results) if record.device.startswith("CPU") != on_gpu]
    ((device, _),) = Counter(record.device for record in found).most_common(1) or [("", 0)]
    return [record for record in found if record.device == device]


def _records(results: Path) -> Iterator[Record]:
    for path in sorted(results.glob("features/*/*/*/features.json")):
        yield from _record(results, path, {"features": read_record(path)})
    for path in sorted(results.glob("runs/*/*/*/*/metrics.json")):
        steps = read_record(path)["steps"]
        yield from _record(results, path, {n: s for n, s in steps.items() if n != "features"})


def _record(results: Path, path: Path, steps: dict[str, Any]) -> Iterator[Record]:
    """Yield the record of some steps if one device did them and their images are counted."""
    _, dataset, category, key, *_ = path.relative_to(results).parts
    inspected = results / "data" / dataset / category / "category.json"
    devices = {step["device"] for step in steps.values() if "device" in step}
    if len(devices) == 1 and inspected.is_file():
        images = Category.read(inspected)
        seconds = {part: s for step in steps.values() for part, s in step["seconds"].items()}
        yield Record(key, devices.pop(), len(images.train), len(images.test), seconds)


def _expected(records: list[Record], key: str, images: Images) -> dict[str, float] | None:
    """Return the expected seconds of each step; None where the work was finished nowhere."""
    steps = defaultdict(list)
    for record in records:
        for step in record.seconds if record.key == key else ():
            steps[step].append(record.scaled(step, images))
    return {step: median(seconds) for step, seconds in steps.items()} or None


def remaining_work(
    workload: Workload, results: Path, records: list[Record]
) -> dict[str, Remaining]:
    """Return what is left of rules ``extract`` and ``measure``, by what finished work recorded."""
    extract, measure = Remaining(), Remaining()
    done = {run for run in workload.runs if (results / "runs" / run.id / "metrics.json").is_file()}
    learned = {(run.dataset, run.category, run.representation) for run in done}
    read = set()
    for batch in workload.batches:
        images = workload.images[batch.dataset, batch.category]
        pending = [run for run in batch.runs if run not in done]
        if pending:
            read |= {(batch.dataset, batch.category, settings) for settings in batch.extractions}
        expected = [_expected(records, run.recipe.key, images) for run in pending]
        measure.done += not pending
        measure.unknown += None in expected
        for run, seconds in zip(pending, expected, strict=True):
            representation = (run.dataset, run.category, run.representation)
            for step, known in (seconds or {}).items():
                # Runs of one representation share its training.
                if step != "training" or representation not in learned:
                    measure.seconds += known
            learned.add(representation)
    for extraction in workload.extractions:
        dataset, category, settings = extraction
        folder = results / "features" / dataset / category / settings.key
        if extraction not in read or (folder / "test.npy").is_file():
            extract.done += 1
        elif seconds := _expected(records, settings.key, workload.images[dataset, category]):
            extract.seconds += sum(seconds.values())
        else:
            extract.unknown += 1
    return {"extract": extract, "measure": measure}
