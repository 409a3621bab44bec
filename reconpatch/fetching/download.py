"""One file from a list of mirrors: resumed, verified, and in place whole or not at all.

What came so far lies in ``NAME.part`` beside the target, and with it ``NAME.part.json``: which
version of the file it is a part of. The SHA-256 of the whole file has the last word, whatever a
server said on the way.
"""

import errno
import hashlib
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import filelock

from reconpatch.fetching.transfer import (
    BrokenError,
    Part,
    RefusedError,
    RetryPolicy,
    readable,
    too_small,
    transfer,
)
from reconpatch.utils.errors import InputError

LONGEST_WAIT = 60.0


def download(
    mirrors: Sequence[str],
    sha256: str,
    target: Path,
    *,
    title: str,
    policy: RetryPolicy | None = None,
) -> None:
    """Have the file at ``target``, from the first mirror that gives it whole.

    A file that is there and has the hash is taken as it is, another one is replaced. Of several
    processes one fetches and the others wait for it.

    Args:
        mirrors: addresses of the same file, tried in this order.
        sha256: its hash, or the beginning of it.
        target: where the file goes; its folder is made if need be.
        title: what messages and the progress bar call it.
        policy: how long to bear with slow and broken mirrors.

    Raises:
        InputError: no mirror gave the file, or the disk is too small; the message says what each
            mirror did. What came so far stays for the next call.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target):
        if target.is_file() and hash_of(target).startswith(sha256):
            return
        try:
            _from_any(mirrors, sha256, target, title, policy or RetryPolicy())
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise too_small(title, target.parent, "more") from None


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


def _from_any(
    mirrors: Sequence[str], sha256: str, target: Path, title: str, policy: RetryPolicy
) -> None:
    part = Part(target)
    said: dict[str, str] = {}
    useless: set[str] = set()
    pause = 0.0
    for turn in range(policy.rounds):
        if turn and len(useless) < len(mirrors):
            time.sleep(max(pause, min(policy.backoff * 2 ** (turn - 1), LONGEST_WAIT)))
            pause = 0.0
        for url in mirrors:
            if url in useless:
                continue
            try:
                transfer(url, part, title, policy)
                _verify(part, sha256)
            except BrokenError as error:
                said[url] = str(error)
                pause = max(pause, min(error.wait, LONGEST_WAIT))
            except RefusedError as error:
                said[url] = str(error)
                useless.add(url)
            else:
                part.path.replace(target)
                part.discard()
                return
    kept = f" The {readable(part.size)} that came are kept; the next try goes on." * bool(part.size)
    raise InputError(
        f"{title} could not be fetched:\n"
        + "".join(f"- {url}: {complaint}\n" for url, complaint in said.items())
        + f"Try again later.{kept} Or get {target.name} (SHA-256 {sha256}) elsewhere."
    )


def _verify(part: Part, sha256: str) -> None:
    """Drop what is not the file; whether to ask the mirror again depends on how it came."""
    found = hash_of(part.path)
    if found.startswith(sha256):
        return
    whole_from_here = part.version.get("in_one_go") and part.version["length"] is not None
    part.discard()
    if whole_from_here:
        raise RefusedError(f"gave another file (SHA-256 {found[:12]}..., not {sha256[:12]}...)")
    raise BrokenError(f"what came does not add up to the file (SHA-256 {found[:12]}...)")
