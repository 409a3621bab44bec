"""The preview sheet as a person asks for it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from reconpatch.cli import app
from reconpatch.datasets.demo.pictures import render
from reconpatch.utils.errors import InputError

CONFIG = Path(__file__).parents[2] / "config"


def preview(*arguments: str | Path) -> None:
    """Call the command, and raise what it raises."""
    CliRunner().invoke(app, ["preview-defects", *map(str, arguments)], catch_exceptions=False)


def test_a_category_folder_becomes_a_sheet(tmp_path: Path) -> None:
    for split, defect, count in [("train", "good", 4), ("test", "good", 1), ("test", "chip", 1)]:
        folder = tmp_path / "washer" / split / defect
        folder.mkdir(parents=True)
        for index in range(count):
            picture = render("washer", split, defect, index, seed=0)
            Image.fromarray(picture.defective).save(folder / f"{index}.png")
    sheet = tmp_path / "sheets" / "washer.png"
    preview("--folder", tmp_path / "washer", "--count", "2", "--output", sheet)
    assert list(sheet.parent.iterdir()) == [sheet]
    with Image.open(sheet) as drawn:
        # Two rows of five panels, of which the masks are mostly black.
        assert drawn.width > 2 * drawn.height
        assert np.mean(np.asarray(drawn.convert("L")) < 10) > 0.2


def test_whose_images_must_be_said(tmp_path: Path) -> None:
    sheet = tmp_path / "a.png"
    with pytest.raises(InputError, match="--folder DIR, or --suite NAME --category NAME"):
        preview("--output", sheet)
    demo = ("--suite", "demo", "--config", CONFIG)
    with pytest.raises(InputError, match="no category wash; it has washer, weave, poly"):
        preview(*demo, "--category", "wash", "--output", sheet)
    assert not list(tmp_path.iterdir())
