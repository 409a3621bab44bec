from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from benchmarks.refinement_choice import (
    AGAIN,
    LITERATURE,
    PRESENT,
    UNREFINED,
    NormalImages,
    choose,
    judge,
    read,
    table,
)
from reconpatch.datasets.demo.pictures import render
from reconpatch.datasets.images import list_images
from reconpatch.refinement.scoring import score_simulated
from reconpatch.utils.errors import InputError

SMALL = {"present": PRESENT.model_copy(update={"width": 4, "pool": 1, "learning_rate": 0.1})}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> NormalImages:
    """Ten washers of a category that has no test images."""
    folder = tmp_path_factory.mktemp("washer") / "train" / "good"
    folder.mkdir(parents=True)
    for index in range(10):
        picture = render("washer", "train", "good", index, seed=0).defective
        Image.fromarray(picture).save(folder / f"{index}.png")
    return read(list_images(folder), "washer", 0, Path("weights"))


def judged(images: NormalImages, work: Path, seed: int = 0) -> dict[str, float]:
    return judge(images, SMALL, seed, 3, work)


def weights(work: Path) -> dict[str, torch.Tensor]:
    trained: dict[str, torch.Tensor] = torch.load(work / "present.pt", weights_only=True)["network"]
    return trained


def test_what_is_held_out_decides_the_values_and_not_the_network(
    images: NormalImages, tmp_path: Path
) -> None:
    values = judged(images, tmp_path / "as they are")
    for part, rows in (("held out", slice(0, 2)), ("trained", slice(2, None))):
        pixels = images.pixels.clone()
        pixels[rows] = 255 - pixels[rows]
        others = judged(replace(images, pixels=pixels), tmp_path / part)
        trained, before = weights(tmp_path / part), weights(tmp_path / "as they are")
        same = all(torch.equal(trained[name], before[name]) for name in before)
        assert same == (part == "held out")
        assert (others[UNREFINED] == values[UNREFINED]) == (part == "trained")


def test_the_same_seed_gives_the_same_values(images: NormalImages, tmp_path: Path) -> None:
    values = judged(images, tmp_path / "one")
    assert list(values) == [UNREFINED, "present", AGAIN]
    assert judged(images, tmp_path / "two") == values
    assert judged(images, tmp_path / "three", seed=5)[UNREFINED] != values[UNREFINED]


def test_each_image_is_scored_without_its_own_vectors(images: NormalImages) -> None:
    first = images.held_out
    unchanged = images.pixels[first:, None].permute(0, 1, 3, 4, 2).numpy()
    scores = score_simulated(unchanged, images.backbone, images.method, "", first=first)
    np.testing.assert_allclose(scores[:, 0], images.scores[first:], rtol=1e-3)
    others = score_simulated(unchanged, images.backbone, images.method, "")
    assert not np.allclose(others[:, 0], images.scores[first:], rtol=1e-3)


def values(present: float, again: float, **others: float) -> dict[str, float]:
    return {UNREFINED: 0.5, "present": present, AGAIN: again} | others


def test_ties_go_to_the_literature_then_to_the_present_default() -> None:
    clear = values(0.90, 0.91, **{LITERATURE: 0.80, "rate 0.1": 0.95})
    assert choose({"a": clear}) == ("rate 0.1", 0.01)
    assert choose({"a": clear | {LITERATURE: 0.945}}) == (LITERATURE, 0.01)
    assert choose({"a": clear | {"present": 0.945, AGAIN: 0.925}}) == ("present", 0.02)
    # The largest difference in a category is the noise, and the mean decides.
    quiet = values(0.96, 0.96, **{LITERATURE: 0.80, "rate 0.1": 0.94})
    assert choose({"a": clear, "b": quiet}) == ("rate 0.1", 0.01)


def test_the_table_prints_each_category_and_the_mean() -> None:
    console = Console(record=True, width=100)
    console.print(table({"bottle": values(0.9, 0.91), "weave": values(0.8, 0.85)}))
    rows = {line.split("│")[1].strip(): line for line in console.export_text().splitlines()[4:-1]}
    assert [cell.strip() for cell in rows["present"].split("│")[2:5]] == ["90.00", "80.00", "85.00"]
    assert set(rows) == {UNREFINED, "present", AGAIN}


def test_too_few_images_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="washer has 0 training images"):
        read([], "washer", 0, tmp_path)
