"""Share results: one file with a suite's tables and the records of its runs, and no image.

A pack is a zip. ``pack.json`` in it names the suite, machines and versions, and the SHA-256 of
every other file; tables lie below ``tables/``, each run's ``metrics.json`` below ``runs/``.
"""

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console

from reconpatch.fetching.archive import unpack
from reconpatch.reporting.formats import read_table
from reconpatch.utils.errors import InputError
from reconpatch.utils.files import atomic_write, hash_of
from reconpatch.utils.record import read_record

MANIFEST = "pack.json"
LARGEST, MOST = 2**30, 100_000
"""Bytes and files of a pack at most."""


class Manifest(BaseModel):
    """What a pack says of itself.

    Attributes:
        schema_version: of this form.
        suite: the suite's name.
        packed: when, in UTC.
        devices: what the runs ran on.
        commits: of this project, at which they ran.
        versions: the packages that they ran with.
        files: the SHA-256 of each file by its name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = 1
    suite: str
    packed: str
    devices: list[str]
    commits: list[str]
    versions: list[str]
    files: dict[str, str]

    @property
    def digest(self) -> str:
        """The SHA-256 of everything in the pack; who quotes a number can quote this beside it."""
        said = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return sha256(said.encode()).hexdigest()


def write_pack(report: Path, results: Path, output: Path) -> Manifest:
    """Pack a suite's tables and the records of the runs behind them.

    Args:
        report: the suite's folder of ``reports``.
        results: the folder of all measured results.
        output: the file to write.

    Raises:
        InputError: the report is not there, or a run that its tables rest on.
    """
    tables = sorted((report / "tables").glob("*.csv"))
    if not tables:
        raise InputError(f"{report} has no tables. Finish its suite first, then pack it.")
    files = {f"tables/{path.name}": path for path in tables}
    for name in ("claims.csv", "headline.txt"):
        if (report / name).is_file():
            files[name] = report / name
    devices: dict[str, None] = {}
    commits: dict[str, None] = {}
    versions: dict[str, None] = {}
    for run in sorted({run for path in tables for run in _runs(path)}):
        record = results / "runs" / run / "metrics.json"
        if not record.is_file():
            raise InputError(f"{record}, which a table rests on, is missing. Run the suite again.")
        files[f"runs/{run}/metrics.json"] = record
        for step in read_record(record)["steps"].values():
            if "device" in step:
                devices[step["device"]] = None
                commits[step["commit"] or "not in a git checkout"] = None
                of = ", ".join(f"{name} {version}" for name, version in step["versions"].items())
                versions[of] = None
    manifest = Manifest(
        suite=report.name,
        packed=datetime.now(UTC).isoformat(timespec="seconds"),
        devices=list(devices),
        commits=list(commits),
        versions=list(versions),
        files={name: hash_of(path) for name, path in files.items()},
    )
    with (
        atomic_write(output) as aside,
        zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        archive.writestr(MANIFEST, manifest.model_dump_json(indent=2))
        for name, path in files.items():
            archive.write(path, name)
    return manifest


@contextmanager
def opened_pack(path: Path) -> Iterator[tuple[Path, Manifest]]:
    """Yield a pack's content as a folder, and what it says of itself, once all hashes fit.

    Raises:
        InputError: it is no pack, or was altered since it was written.
    """
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / path.name.removesuffix("".join(path.suffixes))
        unpack(path, folder, size=LARGEST, entries=MOST)
        try:
            manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
        except (FileNotFoundError, ValidationError):
            raise InputError(f"{path} is no pack of results: it has no sound {MANIFEST}.") from None
        found = {
            file.relative_to(folder).as_posix(): hash_of(file)
            for file in folder.rglob("*")
            if file.is_file() and file != folder / MANIFEST
        }
        differ = sorted(
            name for name in found | manifest.files if found.get(name) != manifest.files.get(name)
        )
        if differ:
            raise InputError(
                f"{path} was altered since it was packed: {differ[0]} is not what {MANIFEST} says. "
                "Ask for it again from whoever made it."
            )
        yield folder, manifest


def print_manifest(name: str, manifest: Manifest) -> None:
    """Print who measured what: suite, day, machines, commits and digest."""
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"{name}: suite {manifest.suite}, {manifest.packed}")
    console.print(f"  on {'; '.join(manifest.devices)}; commit {', '.join(manifest.commits)}")
    console.print(f"  {len(manifest.files)} files, SHA-256 {manifest.digest}")


def _runs(table: Path) -> Iterator[str]:
    for runs in read_table(table)["runs"].dropna():
        yield from json.loads(runs)
