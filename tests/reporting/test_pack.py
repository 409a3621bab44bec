import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reconpatch.cli import app
from reconpatch.reporting.pack import MANIFEST, opened_pack, write_pack
from reconpatch.utils.errors import InputError
from reconpatch.utils.files import read_json


@pytest.fixture(scope="module")
def packed(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packed") / "ours.zip"
    write_pack(finished / "reports" / "tiny", finished / "results", path)
    return path


def test_a_pack_has_the_tables_and_the_records_behind_them_and_no_image(
    packed: Path, finished: Path
) -> None:
    with opened_pack(packed) as (folder, manifest):
        for path in (finished / "reports" / "tiny" / "tables").glob("*.csv"):
            assert (folder / "tables" / path.name).read_bytes() == path.read_bytes()
        records = list((folder / "runs").rglob("metrics.json"))
        assert records
        assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {
            *(".csv", ".json", ".txt")
        }
        devices = {
            step["device"]
            for path in records
            for step in read_json(path)["steps"].values()
            if "device" in step
        }
        assert devices <= set(manifest.devices)
    assert not folder.exists()


def test_a_pack_is_compared_as_a_report(
    packed: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished)
    done = CliRunner().invoke(app, ["compare", "tiny", str(packed)])
    assert done.exit_code == 0, done.output
    assert "suite tiny" in done.output
    assert " 0 moved" in done.output


@pytest.mark.parametrize("how", ["changed", "added", "removed", "no manifest"])
def test_an_altered_pack_is_refused(how: str, packed: Path, tmp_path: Path) -> None:
    altered = tmp_path / "altered.zip"
    with zipfile.ZipFile(packed) as old, zipfile.ZipFile(altered, "w") as new:
        names = old.namelist()
        victim = MANIFEST if how == "no manifest" else next(n for n in names if "table5" in n)
        for name in names:
            content = old.read(name)
            if name == victim:
                if how in ("removed", "no manifest"):
                    continue
                if how == "changed":
                    content = content.replace(b"9", b"8", 1)
            new.writestr(name, content)
        if how == "added":
            new.writestr("tables/table9.csv", "row\n")
    said = "is no pack" if how == "no manifest" else "altered.zip was altered"
    with pytest.raises(InputError, match=said), opened_pack(altered):
        pass


def test_what_is_not_finished_is_not_packed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Finish its suite first"):
        write_pack(tmp_path / "reports" / "none", tmp_path, tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()
