"""The wheel, as somebody without a checkout has it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from reconpatch import __version__
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files alone, where an installation would lay them."""
    built, unpacked = (tmp_path_factory.mktemp(name) for name in ("built", "unpacked"))
    copied = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    source = tmp_path_factory.mktemp("source")
    for name in filter(None, copied):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    subprocess.run([*command, built, source], check=True)
    (wheel,) = built.glob("reconpatch-*.whl")
    zipfile.ZipFile(wheel).extractall(unpacked)
    return unpacked


def run(unpacked: Path, folder: Path, *arguments: str, code: int = 0) -> str:
    """Run the unpacked package in a folder that has nothing."""
    program = (
        f"import sys; sys.path.insert(0, {str(unpacked)!r}); sys.argv[0] = 'reconpatch';"
        "import reconpatch.cli as cli;"
        f"assert cli.__file__.startswith({str(unpacked)!r}); cli.main()"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**environment, "COLUMNS": "200"},
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_it_carries_the_suites_and_all_that_the_package_reads(unpacked: Path) -> None:
    def names(folder: Path) -> set[str]:
        return {
            str(path.relative_to(folder))
            for path in folder.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    assert names(unpacked / "reconpatch" / "config") == names(ROOT / "config")
    carried = {name for name in names(unpacked / "reconpatch") if not name.startswith("config")}
    assert carried == names(ROOT / "reconpatch")


def test_commands_find_the_suites_of_the_package(unpacked: Path, tmp_path: Path) -> None:
    assert run(unpacked, tmp_path, "--version") == f"reconpatch {__version__}\n"
    missing = run(unpacked, tmp_path, "plan", "--suite", "nosuch", code=2)
    assert "demo" in missing
    assert "own" in missing
    # A folder of suites that is here goes before it.
    (tmp_path / "config" / "suites").mkdir(parents=True)
    assert "demo" not in run(unpacked, tmp_path, "plan", "--suite", "nosuch", code=2)


def test_the_shell_completes_commands(
    unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "_RECONPATCH_COMPLETE" in run(unpacked, tmp_path, "--show-completion", "bash")
    monkeypatch.setenv("_RECONPATCH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "reconpatch pre")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert run(unpacked, tmp_path).split() == ["predict", "preview-defects"]
