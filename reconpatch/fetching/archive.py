"""Unpack archives that nobody vouches for: tar (plain, gz, bz2, xz) and zip.

Only files and folders are unpacked. Any other entry, and any name that leads out of the folder, is
an error. Bytes are counted as they are written, because headers may lie.
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
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from reconpatch.fetching.transfer import byte_bar
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
    # What tarfile and zipfile raise for headers that make no sense.
    *(ValueError, OverflowError, RecursionError, NotImplementedError, RuntimeError),
)


def unpack(archive: Path, folder: Path, *, size: int, entries: int) -> None:
    """Unpack ``archive`` into ``folder``, which must be empty or absent.

    At most ``size`` bytes of files and ``entries`` files and folders are unpacked. After an error
    the folder holds a part of the archive. Nothing is ever written elsewhere.

    Raises:
        InputError: the archive is damaged, cut short or of another format; it holds anything but
            files and folders below its top, or a file twice; or it exceeds the limits or the disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    total = 0
    with byte_bar(f"unpacking {archive.name}") as bar:
        for number, (name, is_folder, stream) in enumerate(_entries(archive, size), start=1):
            if number > entries:
                raise _bad(archive, f"it has more than {entries:,} entries")
            place = folder / _safe(archive, name)
            try:
                (place if is_folder else place.parent).mkdir(parents=True, exist_ok=True)
                if is_folder:
                    continue
                file = place.open("xb")
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                raise _bad(archive, f"{name!r} is in it twice") from None
            except OSError as error:
                raise _bad(
                    archive, f"{name!r} in it cannot be written ({error.strerror})"
                ) from None
            with file:
                while chunk := _read(archive, stream):
                    total += len(chunk)
                    if total > size:
                        raise _bad(archive, f"it unpacks to more than {size:,} bytes")
                    if shutil.disk_usage(folder).free < CHUNK + len(chunk):
                        raise InputError(f"The disk is full: {archive} does not fit into {folder}.")
                    file.write(chunk)
                    bar.update(len(chunk))


def _bad(archive: Path, why: str) -> InputError:
    return InputError(f"{archive} cannot be unpacked: {why}. Download it again from its provider.")


def _safe(archive: Path, name: str) -> Path:
    """The entry's path below the folder; a name that leads out of it on any system is an error."""
    path = PurePosixPath(name)
    windows = PureWindowsPath(name)
    if path.is_absolute() or windows.drive or windows.root:
        raise _bad(archive, f"{name!r} in it is an absolute path")
    if ".." in path.parts or ".." in windows.parts:
        raise _bad(archive, f"{name!r} in it leads out of the folder")
    if not name or not name.isprintable() or "\\" in name:
        raise _bad(archive, f"{name!r} in it is not a valid file name")
    return Path(path)


def _read(archive: Path, stream: IO[bytes]) -> bytes:
    try:
        return stream.read(CHUNK)
    except DAMAGED as error:
        raise _cut(archive, error) from None


def _cut(archive: Path, error: Exception) -> InputError:
    return _bad(archive, f"it is damaged or incomplete ({error or type(error).__name__})")


def _entries(archive: Path, size: int) -> Iterator[tuple[str, bool, IO[bytes]]]:
    """Yield name, whether it is a folder, and content of each entry, in the archive's order."""
    try:
        with archive.open("rb") as file:
            start = file.read(6)
    except OSError as error:
        raise InputError(f"{archive} cannot be read ({error.strerror}).") from None
    if start.lstrip().startswith(b"<"):
        raise _bad(archive, "it is a web page, not an archive")
    if start.startswith(b"PK"):
        return _of_zip(archive)
    opener = next((opens for magic, opens in OPENERS.items() if start.startswith(magic)), None)
    return _of_tar(archive, opener or (lambda path: path.open("rb")), size)


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
    archive: Path, opens: Callable[[Path], Any], size: int
) -> Iterator[tuple[str, bool, IO[bytes]]]:
    try:
        with (
            opens(archive) as inner,
            # A header may claim any size, and tarfile would read it all into memory.
            tarfile.TarFile(fileobj=_Bounded(archive, inner, 2 * size)) as opened,
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
                raise tarfile.ReadError("the end-of-archive marker is missing")
            # Read to the last byte, so that the checksum there is verified.
            while chunk := inner.read(CHUNK):
                if any(chunk):
                    raise tarfile.ReadError("data follows the end-of-archive marker")
    except DAMAGED as error:
        raise _cut(archive, error) from None


class _Bounded(io.RawIOBase):
    """A stream that limits the size of a single read, and how far the archive may be read."""

    def __init__(self, archive: Path, inner: IO[bytes], size: int) -> None:
        self.archive, self.inner, self.bound = archive, inner, size

    def tell(self) -> int:
        return self.inner.tell()

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= LARGEST_HEADER:
            raise _bad(self.archive, "a header in it claims an absurd size")
        return self.inner.read(size)

    def seek(self, position: int, whence: int = 0) -> int:
        if position > self.bound:
            raise _bad(self.archive, f"it unpacks to more than {self.bound:,} bytes")
        return self.inner.seek(position, whence)
