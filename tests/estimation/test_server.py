"""The page that scores dropped images: by its endpoint, and in a real browser."""

import io
import socket
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
import requests
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from reconpatch.estimation.estimators import PatchCore
from reconpatch.estimation.server import Server
from reconpatch.utils.errors import InputError
from tests.browser import browser, needs_browser

__all__ = ["browser"]


@pytest.fixture(scope="module")
def server(patchcore: PatchCore) -> Iterator[Server]:
    with Server(patchcore, port=0, limit=1 << 20) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_endpoint_answers_as_predict_does(
    server: Server, patchcore: PatchCore, washer: Path
) -> None:
    path = washer / "test" / "chip" / "000.png"
    answer = requests.post(f"{server.address}score", data=path.read_bytes(), timeout=60)
    assert answer.status_code == 200
    found = answer.json()
    assert found["score"] == patchcore.score_samples([path])[0]
    assert found["threshold"] == patchcore.threshold_
    assert found["anomalous"] == patchcore.predict([path])[0]
    kind, png = found["overlay"].split(",")
    assert kind == "data:image/png;base64"
    assert Image.open(io.BytesIO(b64decode(png))).size == (512, 256)


def test_what_cannot_be_answered_is_said(server: Server) -> None:
    def refused(status: int, words: str, method: str = "POST", path: str = "score", **how) -> None:
        answer = requests.request(method, server.address + path, timeout=60, **how)
        assert answer.status_code == status
        assert words in answer.json()["error"]

    refused(400, "The image is truncated or not an image", data=b"no image")
    refused(411, "Send the image file", data=b"")
    refused(411, "Send the image file", data=iter([b"chunked"]))
    refused(413, "1,048,577 bytes, and at most 1,048,576", data=bytes((1 << 20) + 1))
    refused(404, "Images go to /score", path="other", data=b"x")
    refused(404, "There is a page at /", method="GET", path="../../etc/passwd")
    # A page of another site reaches it only by that site's name.
    refused(403, "by this address", headers={"Host": "elsewhere.example"}, data=b"x")
    with pytest.raises(InputError, match=f"Port {server.server_port} is not to be had"):
        Server(server.detector, server.server_port, 1)


def test_only_this_machine_is_answered(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"
    with socket.create_connection(("127.0.0.1", server.server_port)) as half:
        half.sendall(b"POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf")
        # One that says no more keeps nobody waiting.
        assert requests.get(server.address, timeout=10).status_code == 200
        # What arrives in part is not scored.
        half.shutdown(socket.SHUT_WR)
        assert half.recv(100) == b""


@needs_browser
def test_an_image_in_the_page_shows_score_and_map(
    browser: webdriver.Chrome, server: Server, washer: Path, tmp_path: Path
) -> None:
    browser.get_log("browser")
    browser.get(server.address)
    (tmp_path / "<b>text.png").write_text("no image")
    (tmp_path / "large.png").write_bytes(bytes((1 << 20) + 1))
    chosen = [
        washer / "test" / "chip" / "000.png",
        tmp_path / "<b>text.png",
        tmp_path / "large.png",
    ]
    browser.find_element(By.ID, "files").send_keys("\n".join(map(str, chosen)))
    items = WebDriverWait(browser, 60).until(
        lambda page: (found := page.find_elements(By.CSS_SELECTOR, "li[class]"))[2:] and found
    )
    # The newest is first.
    large, text, chip = items
    assert "at most 1048576 are taken" in large.text
    assert "<b>text.png" in text.text
    assert "The image is truncated or not an image" in text.text
    assert chip.get_attribute("class") in ("anomalous", "normal")
    assert "threshold" in chip.text
    (picture,) = chip.find_elements(By.TAG_NAME, "img")
    assert browser.execute_script("return arguments[0].naturalWidth", picture) == 512
    errors = [e["message"] for e in browser.get_log("browser") if "favicon" not in e["message"]]
    # The one image that the server refused.
    assert all("400" in message for message in errors)
