from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from reconpatch.datasets.demo.pictures import render
from reconpatch.estimation.estimators import PatchCore, ReConPatch


def write_images(folder: Path, split: str, defect: str, count: int) -> None:
    for index in range(count):
        picture = render("washer", split, defect, index, seed=0)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.defective).save(folder / f"{index:03}.png")
        if defect != "good":
            masks = folder.parents[1] / "ground_truth" / defect
            masks.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture.mask).save(masks / f"{index:03}_mask.png")


@pytest.fixture(scope="session")
def washer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A category in MVTec AD's layout."""
    folder = tmp_path_factory.mktemp("own") / "washer"
    for split, defect, count in [("train", "good", 6), ("test", "good", 3), ("test", "chip", 3)]:
        write_images(folder / split / defect, split, defect, count)
    return folder


SMALL = {"size": 96, "coreset_share": 0.1, "false_alarm_rate": 0.25, "device": "cpu", "threads": 1}


@pytest.fixture(scope="session")
def patchcore(washer: Path) -> PatchCore:
    return PatchCore(**SMALL).fit(washer / "train" / "good")


@pytest.fixture(scope="session")
def reconpatch(washer: Path) -> ReConPatch:
    settings = {**SMALL, "epochs": 1, "batch_size": 128, "dimension": 16}
    return ReConPatch(**settings).fit(washer / "train" / "good")


@pytest.fixture(autouse=True)
def torch_is_left_as_it_was() -> Iterator[None]:
    threads, exact = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    assert torch.get_num_threads() == threads
    assert torch.are_deterministic_algorithms_enabled() == exact
