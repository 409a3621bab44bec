"""One file from a list of mirrors: resumed, verified, and in place whole or not at all.

What came so far lies in ``NAME.part`` beside the target, and with it ``NAME.part.json``: which
version of the file it is a part of. The SHA-256 of the whole file has the last word, whatever a
server said on the way.
"""

import errno
import hashlib
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import requests
import urllib3
from requests import Response
from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema
from tqdm import tqdm

from reconpatch.errors import InputError
from reconpatch.files import read_json, write_json

CHUNK = 1 << 16
LONGEST_WAIT = 60.0
RESERVE = 64 << 20
"""Bytes of the disk that a download leaves free."""


@dataclass(frozen=True)
class Patience:
    """How long a download bears with its mirrors.

    Attributes:
        connect: seconds until a connection must stand.
        read: seconds within which the next bytes must come.
        slowest: bytes a second; a mirror that stays below for ``read`` seconds is given up.
        rounds: how often each mirror is tried.
        backoff: seconds before the second round; doubled for each further one, up to a minute.
    """

    connect: float = 10.0
    read: float = 30.0
    slowest: float = 2000.0
    rounds: int = 5
    backoff: float = 1.0


class _BrokenError(Exception):
    """A transfer that another try may mend; ``wait`` is the pause that the server asks for."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class _RefusedError(Exception):
    """A mirror that will not give the file, however often it is asked."""


def download(
    mirrors: Sequence[str],
    sha256: str,
    target: Path,
    *,
    title: str,
    patience: Patience | None = None,
) -> None:
    """Have the file at ``target``, from the first mirror that gives it whole.

    A file that is there and has the hash is taken as it is, another one is replaced. Of several
    processes one fetches and the others wait for it.

    Args:
        mirrors: addresses of the same file, tried in this order.
        sha256: its hash, or the beginning of it.
        target: where the file goes; its folder is made if need be.
        title: what messages and the progress bar call it.
        patience: how long to bear with slow and broken mirrors.

    Raises:
        InputError: no mirror gave the file, or the disk is too small; the message says what each
            mirror did. What came so far stays for the next call.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target):
        if target.is_file() and hash_of(target).startswith(sha256):
            return
        try:
            _from_any(mirrors, sha256, target, title, patience or Patience())
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise _too_small(title, target.parent, "more") from None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of ``path``, after whoever else holds it; it dies with its process."""
    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        print(f"Another process is at work on {path}; waiting for it.", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Part:
    """What came of a file so far, and of which version of it."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def version(self) -> dict[str, Any]:
        """The address, the length in bytes and the validator; each may be None."""
        try:
            return dict(read_json(self.note))
        except (OSError, ValueError):
            return {"url": None, "length": None, "validator": None}

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def _from_any(
    mirrors: Sequence[str], sha256: str, target: Path, title: str, patience: Patience
) -> None:
    part = _Part(target)
    said: dict[str, str] = {}
    useless: set[str] = set()
    pause = 0.0
    for turn in range(patience.rounds):
        if turn and len(useless) < len(mirrors):
            time.sleep(max(pause, min(patience.backoff * 2 ** (turn - 1), LONGEST_WAIT)))
            pause = 0.0
        for url in mirrors:
            if url in useless:
                continue
            try:
                _transfer(url, part, title, patience)
                _verify(part, sha256)
            except _BrokenError as error:
                said[url] = str(error)
                pause = max(pause, min(error.wait, LONGEST_WAIT))
            except _RefusedError as error:
                said[url] = str(error)
                useless.add(url)
            else:
                part.path.replace(target)
                part.discard()
                return
    kept = f" The {_readable(part.size)} that came are kept; the next try goes on." * bool(
        part.size
    )
    raise InputError(
        f"{title} could not be fetched:\n"
        + "".join(f"- {url}: {complaint}\n" for url, complaint in said.items())
        + f"Try again later.{kept} Or get {target.name} (SHA-256 {sha256}) elsewhere."
    )


def _verify(part: _Part, sha256: str) -> None:
    """Drop what is not the file; whether to ask the mirror again depends on how it came."""
    found = hash_of(part.path)
    if found.startswith(sha256):
        return
    whole_from_here = part.version.get("in_one_go") and part.version["length"] is not None
    part.discard()
    if whole_from_here:
        raise _RefusedError(f"gave another file (SHA-256 {found[:12]}..., not {sha256[:12]}...)")
    raise _BrokenError(f"what came does not add up to the file (SHA-256 {found[:12]}...)")


def _transfer(url: str, part: _Part, title: str, patience: Patience) -> None:
    """Bring the part to its full length, going on from what is there where the server agrees."""
    version, done = part.version, part.size
    if done and done == version["length"]:
        return
    headers = {"Accept-Encoding": "identity", "User-Agent": "reconpatch"}
    if done:
        headers["Range"] = f"bytes={done}-"
        if version["url"] == url and version["validator"]:
            headers["If-Range"] = version["validator"]
    try:
        with requests.get(
            url, headers=headers, stream=True, timeout=(patience.connect, patience.read)
        ) as response:
            _check_answer(response)
            if response.status_code == 416:
                # Nothing is left to send: what came may be all of it.
                write_json(part.note, {**version, "in_one_go": False})
                return
            goes_on = response.status_code == 206
            if goes_on:
                total = _total_of_range(response, part)
            else:
                length = response.headers.get("Content-Length", "")
                total = int(length) if length.isdecimal() else None
            _check_space(title, part, total, done if goes_on else 0)
            if goes_on:
                write_json(part.note, {**version, "in_one_go": False})
            else:
                part.discard()
                note = {"url": url, "length": total, "validator": _validator(response)}
                write_json(part.note, {**note, "in_one_go": True})
            _receive(response, part, total, title, patience)
    except requests.TooManyRedirects:
        raise _RefusedError("redirects too often") from None
    except (MissingSchema, InvalidSchema, InvalidURL) as error:
        raise _RefusedError(f"is no address to fetch from ({error})") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _BrokenError(_in_words(error)) from None
    if total is not None and part.size != total:
        came = part.size
        if came > total:
            part.discard()
        raise _BrokenError(f"sent {came:,} of the {total:,} bytes that it announced")


def _check_answer(response: Response) -> None:
    code = response.status_code
    if code in (408, 425, 429) or code >= 500:
        wait = response.headers.get("Retry-After", "")
        raise _BrokenError(
            f"answered {code} {response.reason}", float(wait) if wait.isdecimal() else 0.0
        )
    if code not in (200, 206, 416):
        raise _RefusedError(f"answered {code} {response.reason}")
    if response.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise _RefusedError(
            "answered with a web page in place of the file; it may have moved, or wants a form "
            f"filled in ({response.url})"
        )


def _total_of_range(response: Response, part: _Part) -> int | None:
    """The file's full length by an answer that goes on from the part."""
    found = re.fullmatch(
        r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip()
    )
    known = part.version["length"]
    total = int(found[2]) if found and found[2] != "*" else known
    if not found or int(found[1]) != part.size or (known is not None and total != known):
        part.discard()
        raise _BrokenError("does not go on from what came before; starting anew")
    return total


def _validator(response: Response) -> str | None:
    """What names this version of the file in If-Range; a weak tag does not promise equal bytes."""
    tag = response.headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")


def _check_space(title: str, part: _Part, total: int | None, done: int) -> None:
    free = shutil.disk_usage(part.path.parent).free + (0 if done else part.size)
    if total is not None and total - done > free - RESERVE:
        raise _too_small(title, part.path.parent, _readable(total - done + RESERVE))


def _too_small(title: str, folder: Path, needed: str) -> InputError:
    free = shutil.disk_usage(folder).free
    return InputError(
        f"{title} needs {needed} of disk in {folder}, where {_readable(free)} are free; make room, "
        "or choose a folder on another disk."
    )


def _receive(
    response: Response, part: _Part, total: int | None, title: str, patience: Patience
) -> None:
    """Append the body to the part, as it comes."""
    done = part.size
    since, before = time.monotonic(), done
    with (
        part.path.open("ab") as file,
        tqdm(
            desc=title,
            total=total,
            initial=done,
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            dynamic_ncols=True,
        ) as bar,
    ):
        while chunk := response.raw.read1(CHUNK):
            if not done and chunk.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
                raise _RefusedError(
                    f"answered with a web page in place of the file ({response.url})"
                )
            file.write(chunk)
            done += len(chunk)
            bar.update(len(chunk))
            if shutil.disk_usage(part.path.parent).free < RESERVE // 2:
                raise _too_small(title, part.path.parent, "more")
            if (elapsed := time.monotonic() - since) > patience.read:
                if done - before < patience.slowest * elapsed:
                    rate = _readable((done - before) / elapsed)
                    raise _BrokenError(f"is too slow to wait for ({rate} a second)")
                since, before = time.monotonic(), done
        file.flush()
        os.fsync(file.fileno())


def _in_words(error: Exception) -> str:
    text = str(error)
    if isinstance(error, requests.ConnectTimeout) or "ConnectTimeout" in text:
        return "did not answer in time"
    if isinstance(error, requests.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
        return "fell silent in the middle of it"
    if "NameResolution" in text or "Failed to resolve" in text:
        return "its name is not known here; is there a network connection?"
    if "refused" in text:
        return "refused the connection"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate cannot be trusted from here"
    return "broke the connection off"


def _readable(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
