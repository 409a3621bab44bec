"""A page on this machine to drop an image on, and the JSON endpoint behind it."""

import json
from base64 import b64encode
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

from reconpatch.estimation.detector import Detector
from reconpatch.estimation.overlay import overlay
from reconpatch.estimation.templates import pages
from reconpatch.utils.errors import InputError

LOOPBACK = "127.0.0.1"
TIMEOUT = 30.0
"""Seconds that a client may be silent in the middle of a request."""


class Server(ThreadingHTTPServer):
    """Answers on the loopback address alone; images are scored one at a time.

    ``GET /`` is the page. ``POST /score`` takes an image file as its body and returns JSON: score,
    threshold, anomalous, and overlay, a PNG as a data URL. What cannot be answered has JSON with
    the reason under ``error``.
    """

    daemon_threads = True

    def __init__(self, detector: Detector, port: int, limit: int) -> None:
        """Listen on ``port``, or on a free one for 0.

        Args:
            detector: a fitted one.
            port: to listen on.
            limit: the largest image file in bytes.

        Raises:
            InputError: the port is taken, or not this user's.
        """
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except OSError as error:
            raise InputError(
                f"Port {port} is not to be had ({error.strerror}); give another with --port."
            ) from None
        self.detector, self.limit = detector, limit
        self.scoring = Lock()

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{LOOPBACK}:{self.server_port}/"

    def page(self) -> str:
        """Return the page as HTML; it takes nothing from elsewhere."""
        return (
            pages()
            .get_template("serve.html")
            .render(
                method=self.detector.method.name(),
                images=self.detector.fitted_images_,
                threshold=self.detector.threshold_,
                limit=self.limit,
            )
        )

    def score(self, image: bytes) -> dict[str, Any]:
        """Return what ``POST /score`` answers.

        Raises:
            InputError: the image cannot be read.
        """
        with TemporaryDirectory(prefix="reconpatch-", ignore_cleanup_errors=True) as folder:
            path = Path(folder) / "image"
            path.write_bytes(image)
            try:
                with self.scoring:
                    scores = self.detector.examine([path])
                    (anomaly_map,) = self.detector.maps_of(scores)
                    drawn = overlay(
                        path,
                        anomaly_map,
                        self.detector.map_threshold_,
                        self.detector.recipe_.features,
                    )
            except InputError as error:
                raise InputError(str(error).replace(str(path), "The image")) from None
        png = BytesIO()
        drawn.save(png, "PNG", compress_level=1)
        (score,) = scores.images.tolist()
        return {
            "score": score,
            "threshold": self.detector.threshold_,
            "anomalous": score > self.detector.threshold_,
            "overlay": f"data:image/png;base64,{b64encode(png.getvalue()).decode()}",
        }


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = TIMEOUT
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if not self._from_this_machine():
            return
        if self.path != "/":
            self._refuse(HTTPStatus.NOT_FOUND, "There is a page at / and a POST to /score.")
            return
        self._send(HTTPStatus.OK, "text/html; charset=utf-8", self.server.page().encode())

    def do_POST(self) -> None:
        if not self._from_this_machine():
            return
        if self.path != "/score":
            self._refuse(HTTPStatus.NOT_FOUND, "Images go to /score.")
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) == 0:
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "Send the image file as the request's body.")
            return
        if int(length) > self.server.limit:
            self._refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The file has {int(length):,} bytes, and at most {self.server.limit:,} are taken. "
                "Make the image smaller, or start with a larger --limit.",
            )
            return
        image = self.rfile.read(int(length))
        if len(image) < int(length):
            # Who sent it is gone.
            self.close_connection = True
            return
        try:
            found = self.server.score(image)
        except InputError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        else:
            self._json(HTTPStatus.OK, found)

    def _from_this_machine(self) -> bool:
        """Whether the request names this machine; else a page of another site made it."""
        name = self.headers.get("Host", "").rsplit(":", 1)[0]
        if name in (LOOPBACK, "localhost"):
            return True
        self._refuse(HTTPStatus.FORBIDDEN, f"Open {self.server.address} by this address.")
        return False

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        # What is left of the request is not read.
        self.close_connection = True
        self._json(status, {"error": why})

    def _json(self, status: HTTPStatus, content: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(content).encode())

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the page says what came of an image."""
