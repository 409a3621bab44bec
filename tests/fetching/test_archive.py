"""Archives that mean harm or came damaged: an error, and no byte outside the folder."""

import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconpatch.fetching.archive import unpack
from reconpatch.utils.errors import InputError

SIZE = 1_000_000
LIMITS = {"size": SIZE, "entries": 20}
FILES = {
    "set/a/000.png": np.random.default_rng(0).bytes(5000),
    "set/a/001.png": b"",
    "set/b/c/readme.txt": b"some words",
    "set/b/512.bin": bytes(1024),
}
KINDS = ("tar", "tar.gz", "tar.bz2", "tar.xz", "zip")


def pack(path: Path, files: list[tuple[str, bytes]], **attributes: object) -> Path:
    """Write an archive with these entries; ``attributes`` go to each tar header."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
            for name, content in files:
                opened.writestr(name, content)
        return path
    mode = path.suffix.removeprefix(".")
    with tarfile.open(path, "w" if mode == "tar" else f"w:{mode}") as opened:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            for key, value in attributes.items():
                setattr(entry, key, value)
            opened.addfile(entry, io.BytesIO(content))
    return path


def below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def refused(tmp_path: Path) -> Callable[[Path, str], None]:
    """Unpack an archive that must be refused, and look for bytes outside the folder."""

    def check(archive: Path, complaint: str) -> None:
        folder = tmp_path / "deep" / "below" / archive.stem
        before = below(tmp_path)
        with pytest.raises(InputError, match=complaint) as error:
            unpack(archive, folder, **LIMITS)
        assert str(archive) in str(error.value)
        inside = {str((folder / name).relative_to(tmp_path)) for name in below(folder)}
        assert {k: v for k, v in below(tmp_path).items() if k not in inside} == before
        assert not any(path.is_symlink() for path in tmp_path.rglob("*"))
        assert sum(len(content) for content in below(folder).values()) <= SIZE

    return check


@pytest.mark.parametrize("kind", KINDS)
def test_files_come_out_as_they_went_in(tmp_path: Path, kind: str) -> None:
    archive = pack(tmp_path / f"a.{kind}", list(FILES.items()))
    unpack(archive, tmp_path / "folder", **LIMITS)
    assert below(tmp_path / "folder") == FILES


def test_archives_of_whole_folders_come_out(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with tarfile.open(tmp_path / "a.tar.xz", "w:xz") as opened:
        opened.add(tmp_path / "set", "./set")
    unpack(tmp_path / "a.tar.xz", tmp_path / "folder", **LIMITS)
    assert below(tmp_path / "folder") == FILES


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("../outside.txt", "leads out of the folder"),
        ("a/../../../outside.txt", "leads out of the folder"),
        ("a\\..\\..\\outside.txt", "leads out of the folder"),
        ("/outside.txt", "is an absolute path"),
        ("C:\\outside.txt", "is an absolute path"),
        ("a\nb", "is not a valid file name"),
        ("a\\b", "is not a valid file name"),
    ],
)
def test_names_that_lead_out(
    tmp_path: Path, refused: Callable[[Path, str], None], kind: str, name: str, complaint: str
) -> None:
    refused(pack(tmp_path / f"a.{kind}", [("good.txt", b"good"), (name, b"bad")]), complaint)


@pytest.mark.parametrize(
    "attributes",
    [
        {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"type": tarfile.SYMTYPE, "linkname": "../.."},
        {"type": tarfile.LNKTYPE, "linkname": "../../outside.txt"},
        {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5},
        {"type": tarfile.BLKTYPE},
        {"type": tarfile.FIFOTYPE},
    ],
    ids=["symlink", "symlink up", "hard link", "device", "block device", "pipe"],
)
def test_links_and_devices(
    tmp_path: Path, refused: Callable[[Path, str], None], attributes: dict[str, object]
) -> None:
    refused(pack(tmp_path / "a.tar", [("x", b"")], **attributes), "'x' in it is a link or a device")


def test_a_link_in_a_zip(tmp_path: Path, refused: Callable[[Path, str], None]) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        entry = zipfile.ZipInfo("x")
        entry.create_system, entry.external_attr = 3, 0o120777 << 16
        opened.writestr(entry, "/etc")
    refused(tmp_path / "a.zip", "'x' in it is a link or a device")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("names", [("x", "x"), ("a/x", "a/./x"), ("a", "a/x"), ("a/x", "a")])
def test_duplicate_names(
    tmp_path: Path, refused: Callable[[Path, str], None], kind: str, names: tuple[str, str]
) -> None:
    refused(pack(tmp_path / f"a.{kind}", [(n, b"x") for n in names]), "is in it twice")


@pytest.mark.parametrize("kind", ["tar.gz", "tar.xz", "tar.bz2", "zip"])
def test_bombs(tmp_path: Path, refused: Callable[[Path, str], None], kind: str) -> None:
    huge = pack(tmp_path / f"a.{kind}", [("x", bytes(20_000_000))])
    assert huge.stat().st_size < 30_000
    refused(huge, "it unpacks to more than 1,000,000 bytes")
    many = pack(tmp_path / f"b.{kind}", [(f"{n}", b"") for n in range(21)])
    refused(many, "it has more than 20 entries")


def test_a_bomb_in_a_header(tmp_path: Path, refused: Callable[[Path, str], None]) -> None:
    # A name of 64 MiB, which tarfile would read at once.
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 1 << 26
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(entry.tobuf() + b"a" * (1 << 26))
    refused(tmp_path / "a.tar.gz", "a header in it claims an absurd size")


def test_a_file_that_claims_more_than_there_is(
    tmp_path: Path, refused: Callable[[Path, str], None]
) -> None:
    entry = tarfile.TarInfo("x")
    entry.size = 900_000
    (tmp_path / "a.tar").write_bytes(entry.tobuf() + bytes(1024))
    refused(tmp_path / "a.tar", "damaged or incomplete")


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_tail_cut_off_anywhere_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, kind: str, share: float
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    archive = pack(folder / f"a.{kind}", list(FILES.items()))
    content = archive.read_bytes()
    if kind == "tar":
        # The padding after the end mark says nothing.
        content = content.rstrip(b"\0") + bytes(1024 + 2 * 512)
    archive.write_bytes(content[: int(share * len(content))])
    whole = content[: int(share * len(content))].rstrip(b"\0") == content.rstrip(b"\0")
    if kind == "tar" and whole:
        return
    with pytest.raises(InputError, match="damaged or incomplete"):
        unpack(archive, folder / "out", **LIMITS)


@pytest.mark.parametrize("kind", ["tar.gz", "tar.xz", "tar.bz2", "zip"])
def test_flipped_bytes_are_noticed(
    tmp_path: Path, refused: Callable[[Path, str], None], kind: str
) -> None:
    archive = pack(tmp_path / f"a.{kind}", [("x", FILES["set/a/000.png"])])
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0xFF
    archive.write_bytes(content)
    refused(archive, "damaged or incomplete")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "damaged or incomplete"),
        (b"PK\x03\x04", "damaged or incomplete"),
        (b"some words", "damaged or incomplete"),
        (b"\n<html>Please sign in</html>", "is a web page"),
    ],
)
def test_what_is_no_archive(
    tmp_path: Path, refused: Callable[[Path, str], None], content: bytes, complaint: str
) -> None:
    (tmp_path / "a.tar.xz").write_bytes(content)
    refused(tmp_path / "a.tar.xz", complaint)


def test_two_compressed_streams_are_one(tmp_path: Path) -> None:
    # As parallel compressors write them.
    plain = pack(tmp_path / "a.tar", list(FILES.items())).read_bytes()
    packed = b"".join(lzma.compress(part) for part in (plain[:3000], plain[3000:]))
    (tmp_path / "a.tar.xz").write_bytes(packed)
    unpack(tmp_path / "a.tar.xz", tmp_path / "folder", **LIMITS)
    assert below(tmp_path / "folder") == FILES
