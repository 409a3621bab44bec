import ast
from pathlib import Path

import pytest

from reconpatch.utils.fingerprint import PACKAGE, ROOMS, source_hash


def imported_rooms(file: Path) -> set[str]:
    modules = {
        node.module
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
    }
    parts = [module.split(".") for module in modules]
    return {part[1] for part in parts if part[0] == "reconpatch" and len(part) > 1} & set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_never_run_back_up(room: str) -> None:
    below = set(ROOMS[: ROOMS.index(room) + 1])
    for file in (PACKAGE / room).rglob("*.py"):
        assert imported_rooms(file) <= below, file


def test_an_edit_makes_its_room_and_those_after_it_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "module.py").write_text("x = 1")
    for shared in (
        *("recipe.py", "settings.py", "run.py", "batch.py", "refined_run.py"),
        *("suite.py", "experiments.py", "grid.py"),
    ):
        (tmp_path / shared).write_text("y = 1")
    monkeypatch.setattr("reconpatch.utils.fingerprint.PACKAGE", tmp_path)
    source_hash.cache_clear()
    before = {room: source_hash(room) for room in ROOMS}
    (tmp_path / "representation" / "module.py").write_text("x = 2")
    source_hash.cache_clear()
    stale = [room for room in ROOMS if source_hash(room) != before[room]]
    assert stale == ["representation", "detection", "refinement", "evaluation", "reporting"]
    source_hash.cache_clear()
