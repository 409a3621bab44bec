"""A real HTTP server on loopback that does what each test tells it to, request by request."""

import http.server
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from reconpatch.fetching.transfer import RetryPolicy

Answer = Callable[["Handler"], None]
HASTY = RetryPolicy(connect=1, read=0.4, slowest=20_000, rounds=3, backoff=0.02)
"""So little policy that a test of a slow mirror is quick."""
# Real processes to be killed, each a fork of one that has the imports behind it.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["__main__", "reconpatch.fetching.fetch"])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Mirror"

    def do_GET(self) -> None:
        self.server.asked.append(dict(self.headers))
        self.close_connection = True
        script = self.server.script
        (script.pop(0) if len(script) > 1 else script[0])(self)

    def begin(self, code: int, **headers: object) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Mirror(http.server.ThreadingHTTPServer):
    """A server that answers by its script; the last answer is for all further requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Answer] = []
        self.asked: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.bin"

    def handle_error(self, *args: object) -> None:
        """Clients that go away are what the tests are about."""


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    server = Mirror()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def serve(
    content: bytes,
    *,
    tag: str | None = '"one"',
    ranges: bool = True,
    cut: int | None = None,
    announce: int | None = None,
    rate: float | None = None,
) -> Answer:
    """Answer with ``content``, honouring Range and If-Range unless told otherwise.

    Args:
        content: the file.
        tag: its ETag.
        ranges: whether Range is honoured.
        cut: break the connection off after this many bytes.
        announce: the length to announce in place of the true one.
        rate: bytes a second, in small steps.
    """

    def answer(handler: Handler) -> None:
        asked = handler.headers.get("Range", "bytes=0-")
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        headers: dict[str, object] = {"ETag": tag} if tag else {}
        matches = handler.headers.get("If-Range", tag) == tag
        if start and ranges and matches:
            if start >= len(content):
                handler.begin(416, Content_Length=0)
                return
            headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            body, code = content[start:], 206
        else:
            body, code = content, 200
        length = len(body) if announce is None else announce
        handler.begin(code, Content_Length=length, **headers)
        body = body[:cut]
        step = max(1, int(rate / 50)) if rate else len(body) or 1
        for place in range(0, len(body), step):
            handler.wfile.write(body[place : place + step])
            handler.wfile.flush()
            if rate:
                time.sleep(step / rate)

    return answer


def refuse(code: int, **headers: object) -> Answer:
    return lambda handler: handler.begin(code, Content_Length=0, **headers)


def web_page(content_type: str) -> Answer:
    def answer(handler: Handler) -> None:
        page = b"\n<!DOCTYPE html><html><body>Please sign in</body></html>"
        handler.begin(200, Content_Length=len(page), Content_Type=content_type)
        handler.wfile.write(page)

    return answer
