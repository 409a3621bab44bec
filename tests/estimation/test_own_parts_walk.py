"""docs/own-parts.md, followed to the letter."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from reconpatch.cli import main
from tests.conftest import ROOT
from tests.estimation.conftest import write_images


def blocks(language: str) -> list[str]:
    text = (ROOT / "docs" / "own-parts.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def parts(washer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "parts" / "good", "train", "good", 2)
    shutil.copytree(washer / "test" / "chip", tmp_path / "parts" / "new")
    shutil.copytree(washer, tmp_path / "parts" / "labelled")
    return tmp_path / "parts"


def test_the_commands(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    assert [line.split()[1] for line in commands] == ["fit", "predict", "evaluate"]
    for line in commands:
        monkeypatch.setattr(sys, "argv", line.split())
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0, line
    for name in ("found/index.html", "found/scores.csv", "found/overlays", "metrics/metrics.json"):
        assert (parts / name).exists()


def test_the_python_example(parts: Path) -> None:
    (example,) = blocks("python")
    names: dict[str, object] = {}
    exec(example, names)
    assert len(names["scores"]) == 3
    assert names["maps"].shape == (3, 224, 224)
    above = names["scores"] > names["detector"].threshold_
    assert (names["anomalous"] == above).all()
