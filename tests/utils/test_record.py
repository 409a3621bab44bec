from pathlib import Path

import pytest

from reconpatch.utils.files import read_json
from reconpatch.utils.record import is_current, write_record


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A record whose step left two files."""
    for name in ("a.npy", "b.npy"):
        (tmp_path / name).touch()
    write_record(tmp_path / "step.json", "0123", {"seconds": 2.5})
    return tmp_path / "step.json"


def test_a_record_is_current_for_what_it_was_made_of(path: Path) -> None:
    assert is_current(path, "0123")
    assert is_current(path, "0123", "a.npy", "b.npy")
    assert not is_current(path, "4567")
    assert read_json(path) == {"fingerprint": "0123", "seconds": 2.5}


def test_without_one_of_its_files_a_record_is_not_current(path: Path) -> None:
    path.with_name("b.npy").unlink()
    assert is_current(path, "0123", "a.npy")
    assert not is_current(path, "0123", "a.npy", "b.npy")


@pytest.mark.parametrize(
    "content", [b"", b'{"fingerprint": "01', b"\xff\xfe\xfd", b'["0123"]', b'"0123"', b"{}"]
)
def test_a_damaged_record_is_not_current(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert not is_current(path, "0123")


def test_where_there_is_no_record_nothing_is_current(tmp_path: Path) -> None:
    assert not is_current(tmp_path / "nowhere" / "step.json", "0123")
    write_record(tmp_path / "nowhere" / "step.json", "0123")
    assert is_current(tmp_path / "nowhere" / "step.json", "0123")
