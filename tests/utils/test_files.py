from pathlib import Path

import pytest

from reconpatch.utils.files import atomic_write, read_json, write_json


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new" / "scores.json"
    write_json(path, {"score": 1})

    def fail() -> None:
        with atomic_write(path) as aside:
            aside.write_text("half of")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert read_json(path) == {"score": 1}
    assert list(path.parent.iterdir()) == [path]
