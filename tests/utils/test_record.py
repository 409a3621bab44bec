import json
import os
from pathlib import Path

import pytest

from reconpatch.utils.record import (
    DamagedError,
    is_current,
    read_record,
    whole,
    write_record,
    write_sealed,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A record whose step left two files."""
    for name in ("a.npy", "b.npy"):
        (tmp_path / name).write_bytes(bytes(1000))
    content = {"seconds": 2.5, "nested": {2: (1, None), 10: [float("nan")]}}
    write_record(tmp_path / "step.json", "0123", content, ["a.npy", "b.npy"])
    return tmp_path / "step.json"


def test_a_record_is_current_for_what_it_was_made_of(path: Path) -> None:
    assert is_current(path, "0123")
    assert not is_current(path, "4567")
    record = read_record(path)
    assert record["seconds"] == 2.5
    assert "seal" not in record
    assert whole(path, "b.npy").read_bytes() == bytes(1000)


def test_without_one_of_its_files_a_record_is_not_current(path: Path) -> None:
    path.with_name("b.npy").unlink()
    assert not is_current(path, "0123")
    with pytest.raises(DamagedError, match=r"b\.npy is missing"):
        whole(path, "b.npy")


@pytest.mark.parametrize("how", ["flipped", "truncated", "flipped unseen"])
def test_a_damaged_file_is_refused_and_made_anew(
    how: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = path.with_name("b.npy")
    before = file.stat()
    file.write_bytes(bytes(499) + b"\x01" + bytes(500 if how.startswith("flipped") else 0))
    if how == "flipped unseen":  # Another process sees no other size and time.
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        from reconpatch.utils import record

        record._HASHES.clear()
    with pytest.raises(DamagedError, match=f"Delete {path.parent}"):
        whole(path, "b.npy")
    assert whole(path, "a.npy")
    assert not is_current(path, "0123")
    assert "b.npy is not what step.json says that was written: it is made anew" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "content", [b"", b'{"fingerprint": "01', b"\xff\xfe\xfd", b'["0123"]', b'"0123"', b"{}"]
)
def test_a_damaged_record_is_not_current(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert not is_current(path, "0123")
    with pytest.raises(DamagedError):
        read_record(path)


def test_an_edited_record_is_refused(path: Path) -> None:
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"seconds": 2.4}))
    with pytest.raises(DamagedError, match="was changed since it was written"):
        read_record(path)
    assert not is_current(path, "0123")
    # Another form of the same content is the same content.
    path.write_text(json.dumps(record))
    assert is_current(path, "0123")


def test_the_remedy_of_a_run_names_its_batches(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "set" / "part" / "key" / "0"
    write_sealed(run / "metrics.json", {})
    (run / "metrics.json").write_text("{}")
    with pytest.raises(DamagedError) as error:
        read_record(run / "metrics.json")
    assert f"Delete {run} and {tmp_path / 'batches' / 'set' / 'part'}," in str(error.value)


def test_where_there_is_no_record_nothing_is_current(tmp_path: Path) -> None:
    assert not is_current(tmp_path / "nowhere" / "step.json", "0123")
    write_record(tmp_path / "nowhere" / "step.json", "0123")
    assert is_current(tmp_path / "nowhere" / "step.json", "0123")
