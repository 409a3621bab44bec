"""One transfer: append what a mirror sends of a file to the bytes received before."""

import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import requests
import urllib3
from requests import Response
from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema
from tqdm import tqdm

from reconpatch.utils.errors import InputError
from reconpatch.utils.files import read_json, write_json

CHUNK = 1 << 16
RESERVE = 64 << 20
"""Bytes of the disk that a download leaves free."""


@dataclass(frozen=True)
class RetryPolicy:
    """How often a download retries its mirrors, and when it gives up on one.

    Attributes:
        connect: seconds in which a mirror must accept the connection.
        read: seconds in which the next bytes must arrive.
        slowest: bytes a second; a mirror that is slower for ``read`` seconds is given up.
        rounds: how often each mirror is tried.
        backoff: seconds before the second round; they double with each further round, up to a
            minute.
    """

    connect: float = 10.0
    read: float = 30.0
    slowest: float = 2000.0
    rounds: int = 5
    backoff: float = 1.0


class BrokenError(Exception):
    """The transfer failed, but a retry may succeed after ``wait`` seconds."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class RefusedError(Exception):
    """The mirror does not have the file, so that a retry is useless."""


class Part:
    """The bytes of a file received so far, and the version of the file that they belong to."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")

    @property
    def size(self) -> int:
        """Bytes received so far."""
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def version(self) -> dict[str, Any]:
        """The address, the length in bytes and the validator of the file; each may be None."""
        try:
            return dict(read_json(self.note))
        except (OSError, ValueError):
            return {"url": None, "length": None, "validator": None}

    def discard(self) -> None:
        """Delete what was received."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def transfer(url: str, part: Part, title: str, policy: RetryPolicy) -> None:
    """Download the rest of a file, or all of it where the server cannot resume.

    Raises:
        BrokenError: the transfer ended early or sent nonsense; usable bytes are kept.
        RefusedError: the mirror does not have the file.
        InputError: the disk is too small.
    """
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
            url, headers=headers, stream=True, timeout=(policy.connect, policy.read)
        ) as response:
            if done and response.status_code == 416:
                # Nothing is left to send: the part may be the whole file.
                write_json(part.note, {**version, "in_one_go": False})
                return
            _check_answer(response)
            resumes = response.status_code == 206
            if resumes:
                total = _total_of_range(response, part)
            else:
                length = response.headers.get("Content-Length", "")
                total = int(length) if length.isdecimal() else None
            _check_space(title, part, total, done if resumes else 0)
            if not resumes:
                part.discard()
                version = {"url": url, "length": total, "validator": _validator(response)}
            write_json(part.note, {**version, "in_one_go": not resumes})
            _receive(response, part, total, title, policy)
    except requests.TooManyRedirects:
        raise RefusedError("redirects too many times") from None
    except (MissingSchema, InvalidSchema, InvalidURL) as error:
        raise RefusedError(f"is not a valid address ({error})") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise BrokenError(_in_words(error)) from None
    if total is not None and part.size != total:
        received = part.size
        if received > total:
            part.discard()
        raise BrokenError(f"sent {received:,} bytes, not the {total:,} that it announced")


def byte_bar(title: str, total: int | None = None, done: int = 0) -> "tqdm[NoReturn]":
    """Return a progress bar that counts bytes."""
    return tqdm(desc=title, total=total, initial=done, unit="B", unit_scale=True, unit_divisor=1024)


def _check_answer(response: Response) -> None:
    code = response.status_code
    if code in (408, 425, 429) or code >= 500:
        wait = response.headers.get("Retry-After", "")
        raise BrokenError(
            f"answered {code} {response.reason}", float(wait) if wait.isdecimal() else 0.0
        )
    if code not in (200, 206):
        raise RefusedError(f"answered {code} {response.reason}")
    if response.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise RefusedError(
            "answered with a web page, not the file; the file may have moved, or the page wants a "
            f"form filled in ({response.url})"
        )


def _total_of_range(response: Response, part: Part) -> int | None:
    """The file's full length, from an answer that resumes after the part."""
    content_range = re.fullmatch(
        r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip()
    )
    known = part.version["length"]
    total = int(content_range[2]) if content_range and content_range[2] != "*" else known
    if (
        not content_range
        or int(content_range[1]) != part.size
        or (known is not None and total != known)
    ):
        part.discard()
        raise BrokenError("does not continue the bytes received before; starting over")
    return total


def _validator(response: Response) -> str | None:
    """The value for If-Range that names this version; a weak tag does not promise equal bytes."""
    tag = response.headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")


def _check_space(title: str, part: Part, total: int | None, done: int) -> None:
    free = shutil.disk_usage(part.path.parent).free + (0 if done else part.size)
    if total is not None and total - done > free - RESERVE:
        raise too_small(title, part.path.parent, readable(total - done + RESERVE))


def too_small(title: str, folder: Path, needed: str) -> InputError:
    """Return the error for a disk that cannot hold the file."""
    free = shutil.disk_usage(folder).free
    return InputError(
        f"{title} needs {needed} of disk space in {folder}, where {readable(free)} are free. Make "
        "room, or choose a folder on another disk."
    )


def _receive(
    response: Response, part: Part, total: int | None, title: str, policy: RetryPolicy
) -> None:
    """Append the body to the part as it arrives."""
    done = part.size
    since, before = time.monotonic(), done
    with (
        part.path.open("ab") as file,
        byte_bar(title, total, done) as bar,
    ):
        while chunk := response.raw.read1(CHUNK):
            if not done and chunk.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
                raise RefusedError(f"answered with a web page, not the file ({response.url})")
            file.write(chunk)
            done += len(chunk)
            bar.update(len(chunk))
            if shutil.disk_usage(part.path.parent).free < RESERVE // 2:
                raise too_small(title, part.path.parent, "more")
            if (elapsed := time.monotonic() - since) > policy.read:
                if done - before < policy.slowest * elapsed:
                    rate = readable((done - before) / elapsed)
                    raise BrokenError(f"is too slow ({rate} a second)")
                since, before = time.monotonic(), done
        file.flush()
        os.fsync(file.fileno())


def _in_words(error: Exception) -> str:
    text = str(error)
    if isinstance(error, requests.ConnectTimeout) or "ConnectTimeout" in text:
        return "did not answer in time"
    if isinstance(error, requests.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
        return "stopped sending in the middle of the file"
    if "NameResolution" in text or "Failed to resolve" in text:
        return "cannot be found; is there a network connection?"
    if "refused" in text:
        return "refused the connection"
    if isinstance(error, requests.exceptions.SSLError):
        return "has a certificate that this machine does not trust"
    return "broke off the connection"


def readable(size: float) -> str:
    """Return a number of bytes as text with a unit."""
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
