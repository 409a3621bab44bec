"""Download one file from a list of mirrors: resume it, verify it, put it in place in one step.

Bytes received so far are in ``NAME.part`` beside the target; ``NAME.part.json`` says which version
of the file they belong to. Only the SHA-256 of the whole file decides whether it is the right one,
whatever a server said.
"""

import errno
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
from reconpatch.utils.files import hash_of

LONGEST_WAIT = 60.0


def download(
    mirrors: Sequence[str],
    sha256: str,
    target: Path,
    *,
    title: str,
    policy: RetryPolicy | None = None,
) -> None:
    """Put the file at ``target``, from the first mirror that delivers all of it.

    A file at ``target`` that has the hash is kept; any other is replaced. If several processes ask
    for the same file, one downloads it and the others wait.

    Args:
        mirrors: addresses of the same file, tried in this order.
        sha256: its hash, or the beginning of it.
        target: where the file goes; its folder is created if it is missing.
        title: the file's name in messages and in the progress bar.
        policy: when to give up on slow and broken mirrors.

    Raises:
        InputError: no mirror delivered the file, or the disk is too small; the message says what
            each mirror did. The next call continues from the bytes received so far.
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
    """Hold the lock of ``path``, waiting for it if need be; a killed process releases it."""
    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        print(f"Another process is working on {path}; waiting for it to finish.", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _from_any(
    mirrors: Sequence[str], sha256: str, target: Path, title: str, policy: RetryPolicy
) -> None:
    part = Part(target)
    complaints: dict[str, str] = {}
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
                complaints[url] = str(error)
                pause = max(pause, min(error.wait, LONGEST_WAIT))
            except RefusedError as error:
                complaints[url] = str(error)
                useless.add(url)
            else:
                part.path.replace(target)
                part.discard()
                return
    kept = f" The next try continues after the first {readable(part.size)}." * bool(part.size)
    raise InputError(
        f"{title} could not be downloaded:\n"
        + "".join(f"- {url}: {complaint}\n" for url, complaint in complaints.items())
        + f"Try again later.{kept} Or get {target.name} (SHA-256 {sha256}) from elsewhere."
    )


def _verify(part: Part, sha256: str) -> None:
    """Discard a part with another hash, and raise whether the mirror is worth another try."""
    actual = hash_of(part.path)
    if actual.startswith(sha256):
        return
    whole_from_here = part.version.get("in_one_go") and part.version["length"] is not None
    part.discard()
    if whole_from_here:
        raise RefusedError(f"sent another file (SHA-256 {actual[:12]}..., not {sha256[:12]}...)")
    raise BrokenError(f"the parts do not add up to the file (SHA-256 {actual[:12]}...)")
