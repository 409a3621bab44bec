"""The preview sheet as a person asks for it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from reconpatch.datasets.demo import render

ROOT = Path(__file__).parents[2]


def preview(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reconpatch", "preview-defects", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_a_category_folder_becomes_a_sheet(tmp_path: Path) -> None:
    for split, defect, count in [("train", "good", 4), ("test", "good", 1), ("test", "chip", 1)]:
        folder = tmp_path / "washer" / split / defect
        folder.mkdir(parents=True)
        for index in range(count):
            picture = render("washer", split, defect, index, seed=0)
            Image.fromarray(picture.defective).save(folder / f"{index}.png")
    sheet = tmp_path / "sheets" / "washer.png"
    done = preview("--folder", tmp_path / "washer", "--count", "2", "--output", sheet)
    assert done.returncode == 0, done.stderr
    assert list(sheet.parent.iterdir()) == [sheet]
    with Image.open(sheet) as drawn:
        # Two rows of five panels, of which the masks are mostly black.
        assert drawn.width > 2 * drawn.height
        assert np.mean(np.asarray(drawn.convert("L")) < 10) > 0.2


def test_whose_images_must_be_said(tmp_path: Path) -> None:
    unsaid = preview("--output", tmp_path / "a.png")
    unknown = preview("--suite", "demo", "--category", "wash", "--output", tmp_path / "a.png")
    assert (unsaid.returncode, unknown.returncode) == (2, 2)
    assert "--folder DIR, or --suite NAME --category NAME" in unsaid.stderr
    assert "has no category wash; it has washer, weave, mono, poly" in unknown.stderr
    assert not list(tmp_path.iterdir())
