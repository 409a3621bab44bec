"""Archives unpacked without trust: tar (plain, gz, bz2, xz) and zip.

A data set has files and folders, and that is all that is unpacked; whatever else an archive holds,
and any name that would leave the folder, ends it. Bytes are counted as they come out, as headers
may lie.
"""

import bz2
import gzip
import io
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from tqdm import tqdm

from reconpatch.utils.errors import InputError

CHUNK = 1 << 20
LARGEST_HEADER = 4 << 20
OPENERS: dict[bytes, Callable[[Path], Any]] = {
    b"\xfd7zXZ\x00": lzma.open,
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
}
DAMAGED = (
    *(EOFError, OSError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    # What tarfile and zipfile let through of headers that make no sense.
    *(ValueError, OverflowError, RecursionError, NotImplementedError, RuntimeError),
)


@dataclass(frozen=True)
class Limits:
    """What an archive may come to: bytes of all its files together, and how many entries."""

    size: int
    entries: int


def unpack(archive: Path, folder: Path, limits: Limits) -> None:
    """Unpack ``archive`` into ``folder``, which must be empty or absent.

    After an error the folder holds a part of it; nothing was written anywhere else.

    Raises:
        InputError: the archive is damaged or cut short, of another format, holds anything but files
            and folders below its top, names a file twice, or exceeds the limits or the disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    total = 0
    with tqdm(
        desc=f"unpacking {archive.name}",
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        dynamic_ncols=True,
    ) as bar:
        for number, (name, is_folder, stream) in enumerate(_entries(archive, limits), start=1):
            if number > limits.entries:
                raise _bad(archive, f"it has more than {limits.entries:,} entries")
            place = folder / _safe(archive, name)
            if is_folder:
                with _clashes(archive, name):
                    place.mkdir(parents=True, exist_ok=True)
                continue
            with _clashes(archive, name):
                place.parent.mkdir(parents=True, exist_ok=True)
                file = place.open("xb")
            with file:
                while chunk := _read(archive, stream):
                    total += len(chunk)
                    if total > limits.size:
                        raise _bad(archive, f"it unpacks to more than {limits.size:,} bytes")
                    if shutil.disk_usage(folder).free < CHUNK + len(chunk):
                        raise InputError(f"The disk is full: {archive} does not fit into {folder}.")
                    file.write(chunk)
                    bar.update(len(chunk))


def _bad(archive: Path, why: str) -> InputError:
    return InputError(f"{archive} is not unpacked: {why}. Get the archive from its provider again.")


def _safe(archive: Path, name: str) -> Path:
    """The entry's path below the folder; a name that leads elsewhere on any system is an error."""
    path = PurePosixPath(name)
    windows = PureWindowsPath(name)
    if path.is_absolute() or windows.drive or windows.root:
        raise _bad(archive, f"{name!r} in it is an absolute path")
    if ".." in path.parts or ".." in windows.parts:
        raise _bad(archive, f"{name!r} in it leads out of the folder")
    if not name or not name.isprintable() or "\\" in name:
        raise _bad(archive, f"{name!r} in it is no name for a file")
    return Path(path)


@contextmanager
def _clashes(archive: Path, name: str) -> Iterator[None]:
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise _bad(archive, f"{name!r} is in it twice") from None
    except OSError as error:
        raise _bad(archive, f"{name!r} in it cannot be written ({error.strerror})") from None


def _read(archive: Path, stream: IO[bytes]) -> bytes:
    try:
        return stream.read(CHUNK)
    except DAMAGED as error:
        raise _cut(archive, error) from None


def _cut(archive: Path, error: Exception) -> InputError:
    return _bad(archive, f"it is damaged or cut short ({error or type(error).__name__})")


def _entries(archive: Path, limits: Limits) -> Iterator[tuple[str, bool, IO[bytes]]]:
    """Yield name, whether it is a folder, and content of each entry, in the archive's order."""
    try:
        with archive.open("rb") as file:
            start = file.read(6)
    except OSError as error:
        raise InputError(f"{archive} cannot be read ({error.strerror}).") from None
    if start.lstrip().startswith(b"<"):
        raise _bad(archive, "it is a web page in place of an archive")
    if start.startswith(b"PK"):
        return _of_zip(archive)
    opener = next((opens for magic, opens in OPENERS.items() if start.startswith(magic)), None)
    return _of_tar(archive, opener or (lambda path: path.open("rb")), limits)


def _of_zip(archive: Path) -> Iterator[tuple[str, bool, IO[bytes]]]:
    try:
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                kind = stat.S_IFMT(entry.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise _bad(archive, f"{entry.filename!r} in it is a link or a device")
                # zipfile cuts names at a NUL byte and turns backslashes on Windows only.
                with opened.open(entry) as stream:
                    yield entry.orig_filename, entry.is_dir(), stream
    except DAMAGED as error:
        raise _cut(archive, error) from None


def _of_tar(
    archive: Path, opens: Callable[[Path], Any], limits: Limits
) -> Iterator[tuple[str, bool, IO[bytes]]]:
    try:
        with (
            opens(archive) as inner,
            # A header may claim any size, and tarfile would read it all into memory.
            tarfile.TarFile(fileobj=_Bounded(archive, inner, 2 * limits.size)) as opened,
        ):
            while (entry := opened.next()) is not None:
                if not (entry.isdir() or entry.isreg()) or entry.issparse():
                    raise _bad(archive, f"{entry.name!r} in it is a link or a device")
                if entry.isdir():
                    yield entry.name, True, inner
                elif stream := opened.extractfile(entry):
                    yield entry.name, False, stream
            inner.seek(opened.offset)
            if len(end := inner.read(tarfile.BLOCKSIZE)) < tarfile.BLOCKSIZE or any(end):
                raise tarfile.ReadError("its end is missing")
            # To the last byte, for the checksum that stands there.
            while chunk := inner.read(CHUNK):
                if any(chunk):
                    raise tarfile.ReadError("something follows its end")
    except DAMAGED as error:
        raise _cut(archive, error) from None


class _Bounded(io.RawIOBase):
    """A stream that refuses to be read in absurd pieces, or without end."""

    def __init__(self, archive: Path, inner: Any, size: int) -> None:
        self.archive, self.inner, self.bound = archive, inner, size

    def tell(self) -> int:
        position: int = self.inner.tell()
        return position

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= LARGEST_HEADER:
            raise _bad(self.archive, "a header in it has an absurd size")
        content: bytes = self.inner.read(size)
        return content

    def seek(self, position: int, whence: int = 0) -> int:
        if position > self.bound:
            raise _bad(self.archive, f"it unpacks to more than {self.bound:,} bytes")
        reached: int = self.inner.seek(position, whence)
        return reached
