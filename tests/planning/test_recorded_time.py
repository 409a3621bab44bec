"""Time of pending work, by what made-up finished runs recorded."""

from pathlib import Path
from typing import Any

import pytest

from reconpatch.datasets.category import GOOD, Category, Sample
from reconpatch.methods.reconpatch import ReConPatchRecipe
from reconpatch.planning.plan import print_plan
from reconpatch.planning.recorded_time import read_records, remaining_work
from reconpatch.planning.workload import RunWork, Workload
from reconpatch.utils.record import write_sealed

CPU = "CPU x86_64, 2 threads"


def counts(results: Path, category: str, train: int, test: int) -> None:
    """Say how many images a category has, as rule ``inspect`` does."""
    samples = [Sample(Path(f"{index}.png"), GOOD, None) for index in range(train + test)]
    path = results / "data" / "other" / category / "category.json"
    Category("other", category, None, tuple(samples[:train]), tuple(samples[train:]), "").write(
        path
    )


def finish(
    results: Path,
    category: str,
    key: str,
    seconds: dict[str, float],
    device: str = CPU,
    seed: int = 0,
) -> None:
    """Leave what a finished run of a recipe leaves of its time."""
    training = {"training": seconds["training"]} if "training" in seconds else {}
    steps: dict[str, Any] = {
        "features": {"seconds": {"train": 1e6}, "device": device},
        "training": {"seconds": training, "device": device},
        "detection": {
            "seconds": {part: s for part, s in seconds.items() if part not in training},
            "device": device,
        },
        "evaluation": {"seconds": {"evaluation": 0.0}},
    }
    path = results / "runs" / "other" / category / key / str(seed) / "metrics.json"
    write_sealed(path, {"steps": steps})


def single(workload: Workload, share: float) -> RunWork:
    """The first run of the recipe that other recipes differ from, with a share of the coreset."""
    return next(
        work
        for work in workload.works
        if isinstance(work.recipe, ReConPatchRecipe)
        and work.recipe.detection.coreset_share == share
    )


@pytest.mark.parametrize(
    ("step", "bottle", "cable"),
    [
        ("backbone", 1, 1),
        ("diagnostics", 209 / 100, 224 / 100),
        ("training", 209 / 100, 224 / 100),
        ("fit", (209 / 100) ** 2, (224 / 100) ** 2),
        ("scoring", 209 / 100 * 83 / 50, 224 / 100 * 150 / 50),
        ("fusion", 83 / 50, 150 / 50),
    ],
)
def test_seconds_grow_with_what_they_should(
    step: str, bottle: float, cable: float, made_up: Workload, tmp_path: Path
) -> None:
    counts(tmp_path, "capsule", 100, 50)
    finish(tmp_path, "capsule", single(made_up, 0.01).recipe.key, {step: 10.0})
    left = remaining_work(made_up, tmp_path, read_records(tmp_path, on_gpu=False))
    seeds = 2
    assert left["measure"].seconds == pytest.approx(seeds * 10 * (bottle + cable))
    # In each batch there is a recipe that was finished nowhere.
    assert (left["measure"].done, left["measure"].unknown) == (0, 4)
    assert (left["extract"].seconds, left["extract"].unknown) == (0, 8)


def test_the_median_of_one_device_counts(made_up: Workload, tmp_path: Path) -> None:
    key = single(made_up, 0.01).recipe.key
    counts(tmp_path, "capsule", 100, 50)
    counts(tmp_path, "pill", 200, 100)
    for seed, seconds in enumerate((1.0, 2.0, 9.0)):
        finish(tmp_path, "capsule", key, {"diagnostics": seconds}, seed=seed)
    # Twice the images: by image the same as 3.0 above.
    finish(tmp_path, "pill", key, {"diagnostics": 6.0})
    for seed in range(3):
        finish(tmp_path, "pill", key, {"diagnostics": 500.0}, "CPU x86_64, 8 threads", seed + 1)
        finish(tmp_path, "capsule", key, {"diagnostics": 0.1}, "NVIDIA H100", seed + 10)
    # Its images are not counted.
    finish(tmp_path, "zipper", key, {"diagnostics": 700.0})
    on_cpu, on_gpu = (read_records(tmp_path, on_gpu=where) for where in (False, True))
    assert {record.device for record in on_cpu} == {CPU}
    left = remaining_work(made_up, tmp_path, on_cpu)["measure"]
    assert left.seconds == pytest.approx(2 * 2.5 * (209 + 224) / 100)
    left = remaining_work(made_up, tmp_path, on_gpu)["measure"]
    assert left.seconds == pytest.approx(2 * 0.1 * (209 + 224) / 100)


def test_what_two_devices_did_tells_of_neither(tmp_path: Path) -> None:
    counts(tmp_path, "capsule", 100, 50)
    steps = {
        "training": {"seconds": {"training": 1.0}, "device": "NVIDIA H100"},
        "detection": {"seconds": {"fit": 1.0}, "device": CPU},
    }
    write_sealed(
        tmp_path / "runs" / "other" / "capsule" / "key" / "0" / "metrics.json", {"steps": steps}
    )
    assert read_records(tmp_path, on_gpu=False) == read_records(tmp_path, on_gpu=True) == []


def test_a_shared_training_counts_once(made_up: Workload, tmp_path: Path) -> None:
    counts(tmp_path, "capsule", 209, 83)
    one, ten = single(made_up, 0.01), single(made_up, 0.1)
    assert one.run.representation == ten.run.representation
    for work in (one, ten):
        finish(tmp_path, "capsule", work.recipe.key, {"training": 100.0, "diagnostics": 1.0})
    records = read_records(tmp_path, on_gpu=False)
    left = remaining_work(made_up, tmp_path, records)["measure"]
    assert left.seconds == pytest.approx(2 * (100 + 1 + 1) * (1 + 224 / 209))
    # Both batches of table1 are known.
    assert left.unknown == 2
    # One run of bottle is done, and with it the training.
    write_sealed(tmp_path / "runs" / one.run.id / "metrics.json", {"steps": {}})
    left = remaining_work(made_up, tmp_path, records)["measure"]
    assert left.seconds == pytest.approx(102 + 2 * 102 * 224 / 209 + 1)


def test_finished_work_takes_nothing(made_up: Workload, tmp_path: Path) -> None:
    extraction = single(made_up, 0.01).recipe.train_extraction
    counts(tmp_path, "capsule", 100, 50)
    features = tmp_path / "features" / "other" / "capsule" / extraction.key / "features.json"
    seconds = {"backbone": 3.0, "masks": 1.0, "train": 10.0, "test": 5.0}
    write_sealed(features, {"seconds": seconds, "device": CPU})
    records = read_records(tmp_path, on_gpu=False)
    of_bottle = 3 + 83 / 50 * (1 + 5) + 209 / 100 * 10
    of_cable = 3 + 150 / 50 * (1 + 5) + 224 / 100 * 10
    left = remaining_work(made_up, tmp_path, records)["extract"]
    assert (left.done, left.unknown) == (0, 6)
    assert left.seconds == pytest.approx(of_bottle + of_cable)

    dataset = made_up.batches[0].dataset
    here = tmp_path / "features" / dataset / "cable" / extraction.key / "test.npy"
    here.parent.mkdir(parents=True)
    here.touch()
    left = remaining_work(made_up, tmp_path, records)["extract"]
    assert (left.done, left.unknown) == (1, 6)
    assert left.seconds == pytest.approx(of_bottle)

    for run in made_up.runs:
        if run.category == "bottle":
            write_sealed(tmp_path / "runs" / run.id / "metrics.json", {"steps": {}})
    both = remaining_work(made_up, tmp_path, records)
    # Features that were deleted when their last run was done are not missed.
    assert (both["extract"].done, both["extract"].unknown) == (5, 3)
    assert both["extract"].seconds == 0
    assert (both["measure"].done, both["measure"].unknown) == (2, 2)


def test_the_plan_says_what_is_known_and_what_is_not(
    made_up: Workload, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_plan(made_up.suite, tmp_path, tmp_path / "reports", on_gpu=False)
    printed = capsys.readouterr().out
    assert "Time is unknown: no finished work on a CPU has recorded any." in printed
    assert "measure            4     0   4 jobs unknown" in printed

    counts(tmp_path, "capsule", 209, 83)
    finish(tmp_path, "capsule", single(made_up, 0.01).recipe.key, {"scoring": 3600.0})
    print_plan(made_up.suite, tmp_path, tmp_path / "reports", on_gpu=False)
    printed = capsys.readouterr().out
    assert f"Time by what finished work recorded on {CPU}" in printed
    assert "at least 5:52:26, 4 jobs unknown" in printed
    assert "at least 5:52:26, 18 jobs unknown" in printed
