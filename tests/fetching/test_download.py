"""Mirrors that misbehave: the right file or a clear error, and nothing half done in its place."""

import hashlib
import threading
from collections import namedtuple
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconpatch.fetching import transfer as module
from reconpatch.fetching.download import download
from reconpatch.fetching.transfer import RetryPolicy
from reconpatch.utils.errors import InputError
from tests.fetching.conftest import HASTY, PROCESSES, Answer, Mirror, refuse, serve, web_page

FILE = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(300_000)
SHA = hashlib.sha256(FILE).hexdigest()
HALF = len(FILE) // 2


def fetch(mirror: Mirror, target: Path, *answers: Answer, sha256: str = SHA) -> None:
    mirror.script, mirror.asked = list(answers), []
    download([mirror.url], sha256, target, title="the file", policy=HASTY)


def ranges(mirror: Mirror) -> list[str | None]:
    return [asked.get("Range") for asked in mirror.asked]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "file.bin"


def visible(target: Path) -> list[str]:
    return sorted(p.name for p in target.parent.iterdir() if not p.name.startswith("."))


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([serve(FILE)], [None]),
        # Cut midway: only the rest is asked for.
        ([serve(FILE, cut=HALF), serve(FILE)], [None, f"bytes={HALF}-"]),
        ([serve(FILE, cut=9), serve(FILE, cut=9), serve(FILE)], [None, "bytes=9-", "bytes=18-"]),
        # Range ignored: all over again.
        ([serve(FILE, cut=HALF), serve(FILE, ranges=False)], [None, f"bytes={HALF}-"]),
        # Another file the first time, by its tag; then without one, when only the hash can tell.
        ([serve(OTHER, tag='"two"', cut=HALF), serve(FILE)], [None, f"bytes={HALF}-"]),
        (
            [serve(OTHER, tag=None, cut=HALF), serve(FILE, tag=None)],
            [None, f"bytes={HALF}-", None],
        ),
        # Of another length: the range's total tells.
        (
            [serve(OTHER[:-5], tag=None, cut=HALF), serve(FILE, tag=None)],
            [None, f"bytes={HALF}-", None],
        ),
        # More announced than there is.
        ([serve(FILE, announce=len(FILE) + 7), serve(FILE)], [None, f"bytes={len(FILE)}-"]),
        ([refuse(503), refuse(429, Retry_After=0), serve(FILE)], [None] * 3),
        ([refuse(302, Location="/elsewhere"), serve(FILE)], [None] * 2),
        # A trickle is given up, and gone on from.
        ([serve(FILE, rate=5000), serve(FILE)], None),
    ],
    ids=[
        *("whole", "cut", "cut twice", "range ignored", "changed, tagged", "changed, untagged"),
        *("changed length", "announces too much", "503 and 429", "redirect", "trickle"),
    ],
)
def test_file_arrives_whole(
    mirror: Mirror, target: Path, answers: list[Answer], asked: list[str | None] | None
) -> None:
    fetch(mirror, target, *answers)
    assert target.read_bytes() == FILE
    assert visible(target) == ["file.bin"]
    if asked is not None:
        assert ranges(mirror) == asked
    else:
        assert (ranges(mirror)[1] or "").startswith("bytes=")
    # What is there and whole is not fetched again.
    fetch(mirror, target, refuse(404))
    assert not mirror.asked


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (refuse(404), "answered 404 Not Found"),
        (refuse(403), "answered 403 Forbidden"),
        (refuse(503), "answered 503"),
        (web_page("text/html; charset=utf-8"), "answered with a web page, not the file"),
        (web_page("application/octet-stream"), "answered with a web page, not the file"),
        (serve(OTHER), "sent another file"),
        (serve(FILE, announce=HALF), "sent another file"),
        (serve(FILE, announce=0), "sent another file"),
        (
            serve(FILE, cut=HALF, ranges=False),
            r"broke off the connection|sent 150,000 bytes, not the 300",
        ),
        (serve(FILE, rate=2000), "is too slow"),
        (
            lambda handler: handler.begin(200, Content_Length=5),
            "broke off the connection|sent 0 bytes",
        ),
        (refuse(302, Location="/file.bin"), "redirects too many times"),
    ],
    ids=[
        *("404", "403", "503", "web page", "web page as data", "another file"),
        *("announces too little", "announces nothing", "always cut"),
        *("trickle", "silence", "endless redirect"),
    ],
)
def test_clear_error_and_the_next_call_succeeds(
    mirror: Mirror, target: Path, answer: Answer, complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint) as error:
        fetch(mirror, target, answer)
    assert str(error.value).startswith(f"the file could not be downloaded:\n- {mirror.url}: ")
    assert not target.exists()
    fetch(mirror, target, serve(FILE))
    assert target.read_bytes() == FILE


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    answers=st.lists(
        st.sampled_from(
            [
                *(serve(FILE, cut=HALF), serve(FILE, tag=None, cut=9), serve(FILE, announce=HALF)),
                *(serve(OTHER), serve(OTHER, cut=HALF), serve(OTHER[:HALF], tag='"one"')),
                *(serve(FILE, ranges=False, cut=HALF + 1), serve(b""), refuse(503), refuse(404)),
                *(refuse(416), refuse(206), web_page("text/html"), web_page("image/png")),
            ]
        ),
        max_size=5,
    )
)
def test_whatever_went_before_the_next_whole_answers_end_it(
    mirror: Mirror, tmp_path_factory: pytest.TempPathFactory, answers: list[Answer]
) -> None:
    target = tmp_path_factory.mktemp("any") / "file.bin"
    for answer in answers:
        mirror.script = [answer]
        try:
            download([mirror.url], SHA, target, title="the file", policy=replace(HASTY, rounds=1))
        except InputError:
            assert not target.exists()
        else:
            assert target.read_bytes() == FILE
    fetch(mirror, target, serve(FILE))
    assert target.read_bytes() == FILE
    assert visible(target) == ["file.bin"]


def test_a_silent_mirror_is_left_for_the_next(mirror: Mirror, target: Path) -> None:
    stop = threading.Event()
    mirror.script = [lambda handler: (stop.wait(5), None)[1], serve(FILE)]
    download([mirror.url] * 2, SHA, target, title="the file", policy=HASTY)
    stop.set()
    assert target.read_bytes() == FILE


def test_second_mirror_goes_on_where_the_first_broke_off(mirror: Mirror, target: Path) -> None:
    mirror.script = [serve(FILE, cut=HALF), serve(FILE, tag='"its own"')]
    second = mirror.url.replace("file.bin", "other.bin")
    download([mirror.url, second], SHA, target, title="the file", policy=HASTY)
    assert target.read_bytes() == FILE
    assert ranges(mirror) == [None, f"bytes={HALF}-"]
    assert "If-Range" not in mirror.asked[1]


def test_nobody_is_asked_twice_who_has_not_got_it(mirror: Mirror, target: Path) -> None:
    with pytest.raises(InputError, match="answered 404"):
        fetch(mirror, target, refuse(404))
    assert len(mirror.asked) == 1


def test_addresses_that_lead_nowhere(target: Path) -> None:
    with pytest.raises(InputError, match="refused the connection"):
        download(["http://127.0.0.1:9/x"], SHA, target, title="the file", policy=HASTY)
    with pytest.raises(InputError, match="is not a valid address"):
        download(["mydrive.ch/x"], SHA, target, title="the file", policy=HASTY)


def test_a_damaged_file_in_place_is_replaced(mirror: Mirror, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(FILE[:-1])
    fetch(mirror, target, serve(FILE))
    assert target.read_bytes() == FILE


def test_the_beginning_of_a_hash_will_do(mirror: Mirror, target: Path) -> None:
    fetch(mirror, target, serve(FILE), sha256=SHA[:8])
    assert target.read_bytes() == FILE
    target.unlink()
    with pytest.raises(InputError, match="sent another file"):
        fetch(mirror, target, serve(OTHER), sha256=SHA[:8])


def test_disk_space_is_checked_before_the_first_byte(
    mirror: Mirror, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    small = usage(1 << 30, 1 << 30, module.RESERVE + len(FILE) - 1)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: small)
    with pytest.raises(InputError, match=r"the file needs 64.3 MiB of disk space in .*folder"):
        fetch(mirror, target, serve(FILE))
    assert visible(target) == []


def start(mirror: Mirror, target: Path) -> ForkServerProcess:
    process = PROCESSES.Process(
        target=download, args=([mirror.url], SHA, target), kwargs={"title": "the file"}
    )
    process.start()
    return process


def test_a_killed_download_ends_verified(mirror: Mirror, target: Path) -> None:
    """kill -9 at ten random moments, each on what the one before left."""
    mirror.script = [serve(FILE, rate=200_000)]
    for moment in np.random.default_rng(0).uniform(0, 0.25, 10):
        process = start(mirror, target)
        process.join(moment)
        assert process.is_alive()
        process.kill()
        process.join()
        assert not target.exists()
    assert any(ranges(mirror))
    download([mirror.url], SHA, target, title="x", policy=RetryPolicy())
    assert target.read_bytes() == FILE
    assert visible(target) == ["file.bin"]


def test_two_processes_fetch_once(mirror: Mirror, target: Path) -> None:
    mirror.script = [serve(FILE, rate=600_000)]
    both = [start(mirror, target) for _ in range(2)]
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert target.read_bytes() == FILE
    assert ranges(mirror) == [None]
