"""One transfer: what a mirror sends of a file, added to what came before."""

import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


class BrokenError(Exception):
    """A transfer that another try may mend; ``wait`` is the pause that the server asks for."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class RefusedError(Exception):
    """A mirror that will not give the file, however often it is asked."""


class Part:
    """What came of a file so far, and of which version of it."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")

    @property
    def size(self) -> int:
        """Its bytes so far."""
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def version(self) -> dict[str, Any]:
        """The address, the length in bytes and the validator; each may be None."""
        try:
            return dict(read_json(self.note))
        except (OSError, ValueError):
            return {"url": None, "length": None, "validator": None}

    def discard(self) -> None:
        """Begin anew."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def transfer(url: str, part: Part, title: str, policy: RetryPolicy) -> None:
    """Bring the part to its full length, going on from what is there where the server agrees.

    Args:
        url: the mirror's address of the file.
        part: what came before, from this mirror or another.
        title: what the progress bar calls it.
        policy: how long to bear with it.

    Raises:
        BrokenError: it ended early or sent nonsense; what came is kept where it can be used.
        RefusedError: the mirror has not got the file.
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
                # Nothing is left to send: what came may be all of it.
                write_json(part.note, {**version, "in_one_go": False})
                return
            _check_answer(response)
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
            _receive(response, part, total, title, policy)
    except requests.TooManyRedirects:
        raise RefusedError("redirects too often") from None
    except (MissingSchema, InvalidSchema, InvalidURL) as error:
        raise RefusedError(f"is no address to fetch from ({error})") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise BrokenError(_in_words(error)) from None
    if total is not None and part.size != total:
        came = part.size
        if came > total:
            part.discard()
        raise BrokenError(f"sent {came:,} of the {total:,} bytes that it announced")


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
            "answered with a web page in place of the file; it may have moved, or wants a form "
            f"filled in ({response.url})"
        )


def _total_of_range(response: Response, part: Part) -> int | None:
    """The file's full length by an answer that goes on from the part."""
    found = re.fullmatch(
        r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip()
    )
    known = part.version["length"]
    total = int(found[2]) if found and found[2] != "*" else known
    if not found or int(found[1]) != part.size or (known is not None and total != known):
        part.discard()
        raise BrokenError("does not go on from what came before; starting anew")
    return total


def _validator(response: Response) -> str | None:
    """What names this version of the file in If-Range; a weak tag does not promise equal bytes."""
    tag = response.headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")


def _check_space(title: str, part: Part, total: int | None, done: int) -> None:
    free = shutil.disk_usage(part.path.parent).free + (0 if done else part.size)
    if total is not None and total - done > free - RESERVE:
        raise too_small(title, part.path.parent, readable(total - done + RESERVE))


def too_small(title: str, folder: Path, needed: str) -> InputError:
    """Return the error for a disk that cannot hold what is fetched."""
    free = shutil.disk_usage(folder).free
    return InputError(
        f"{title} needs {needed} of disk in {folder}, where {readable(free)} are free; make room, "
        "or choose a folder on another disk."
    )


def _receive(
    response: Response, part: Part, total: int | None, title: str, policy: RetryPolicy
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
                raise RefusedError(
                    f"answered with a web page in place of the file ({response.url})"
                )
            file.write(chunk)
            done += len(chunk)
            bar.update(len(chunk))
            if shutil.disk_usage(part.path.parent).free < RESERVE // 2:
                raise too_small(title, part.path.parent, "more")
            if (elapsed := time.monotonic() - since) > policy.read:
                if done - before < policy.slowest * elapsed:
                    rate = readable((done - before) / elapsed)
                    raise BrokenError(f"is too slow to wait for ({rate} a second)")
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


def readable(size: float) -> str:
    """Return a number of bytes as people say it."""
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
