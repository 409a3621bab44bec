from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def category_folder(tmp_path: Path) -> Path:
    """A whole category in the MVTec AD layout: 3 to train on, 2 normal and 2 defective to test."""
    folder = tmp_path / "root" / "part"
    rng = np.random.default_rng(0)
    for place in (
        "train/good/000.png",
        "train/good/001.PNG",
        "train/good/002.jpg",
        "test/good/000.png",
        "test/good/001.png",
        "test/broken/000.png",
        "test/broken/001.jpeg",
    ):
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(path)
    masks = folder / "ground_truth" / "broken"
    masks.mkdir(parents=True)
    for name in ("000_mask.png", "001_mask.png"):
        Image.new("L", (32, 24), 255).save(masks / name)
    (folder / "train" / "good" / ".000.png").write_text("a hidden file is no image")
    (folder / "train" / "good" / "notes.txt").write_text("nor is this")
    return folder


@pytest.fixture
def truncate() -> Callable[[Path], None]:
    """Cut a quarter off the end of a file."""

    def cut(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 3 // 4])

    return cut
