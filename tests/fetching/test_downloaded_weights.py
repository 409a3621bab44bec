"""Weights by the same path as data sets: resumed, and held to the hash in their name."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch

from reconpatch.features import pretrained
from reconpatch.features.presets import Preset, presets
from reconpatch.features.pretrained import find_weights, load_backbone
from reconpatch.utils.errors import InputError
from tests.fetching.conftest import Mirror, refuse, serve

TINY, TAGGED = "test_resnet", "test_resnet.r160_in1k"


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    torch.save(timm.create_model(TINY).state_dict(), tmp_path / "saved")
    return (tmp_path / "saved").read_bytes()


def at(mirror: Mirror, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    """Have timm know the weights by an address on loopback, and no hub."""
    known = replace(timm.get_pretrained_cfg(TAGGED), url=mirror.url.replace("file.bin", file))
    monkeypatch.setattr(timm, "get_pretrained_cfg", lambda name: known)
    monkeypatch.setattr(
        pretrained, "hf_hub_download", lambda *arguments: Path("nowhere").read_text()
    )


def test_download_is_resumed_and_goes_into_the_folder(
    tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    sha256 = hashlib.sha256(content).hexdigest()
    at(mirror, monkeypatch, f"{TINY}-{sha256[:8]}.pth")
    mirror.script = [serve(content, cut=1000), serve(content)]
    folder = tmp_path / "weights"
    backbone = load_backbone(TINY, (2,), folder, torch.device("cpu"))
    assert backbone.weights.sha256 == sha256
    assert [asked.get("Range") for asked in mirror.asked] == [None, "bytes=1000-"]
    assert find_weights(TINY, folder).source == f"folder {folder}"
    assert len(mirror.asked) == 2


def test_an_address_with_a_hash_comes_before_timms(
    tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    sha256 = hashlib.sha256(content).hexdigest()
    at(mirror, monkeypatch, "without-a-hash.pth")
    url = mirror.url.replace("file.bin", f"{TINY}-{sha256[:8]}.pth")
    monkeypatch.setitem(presets(), TINY, Preset(TAGGED, None, url))
    mirror.script = [serve(content)]
    found = find_weights(TINY, tmp_path / "weights")
    assert (found.source, found.sha256) == (f"download {url}", sha256)


@pytest.mark.parametrize(
    "name", ["wide_resnet50_2", "wide_resnet101_2", "resnext101_32x8d", "densenet201"]
)
def test_the_papers_backbones_have_an_address_with_a_hash(name: str) -> None:
    preset = presets()[name]
    url = preset.address or timm.get_pretrained_cfg(preset.timm_name).url
    assert re.search(rf"/{name}-[0-9a-f]{{8}}\.pth$", url)


def test_file_that_is_not_what_its_name_says_is_refused(
    tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    file = f"{TINY}-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / file).write_bytes(content[:-1])
    with pytest.raises(InputError, match=f"{file} is damaged: by its name"):
        find_weights(TINY, folder)
    (folder / file).unlink()
    at(mirror, monkeypatch, file)
    mirror.script = [serve(content[:-1])]
    with pytest.raises(InputError, match=rf"({file} will do)(.|\n)*sent another file"):
        find_weights(TINY, folder)
    assert not (folder / file).exists()


def test_damaged_file_of_the_hubs_cache_is_refused(
    tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    at(mirror, monkeypatch, "without-a-hash.pth")
    blob = tmp_path / hashlib.sha256(content).hexdigest()
    link = tmp_path / "model.safetensors"
    link.symlink_to(blob)
    monkeypatch.setattr(pretrained, "hf_hub_download", lambda *arguments: str(link))
    blob.write_bytes(content)
    assert find_weights(TINY, tmp_path / "weights").sha256 == blob.name
    blob.write_bytes(content[:-1])
    with pytest.raises(InputError, match=f"{blob.name} is damaged; delete it"):
        find_weights(TINY, tmp_path / "weights")


def test_no_network_says_which_file_to_put_where(
    tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(mirror, monkeypatch, f"{TINY}-0123abcd.pth")
    mirror.script = [refuse(404)]
    with pytest.raises(InputError) as error:
        find_weights(TINY, tmp_path)
    for word in (f"{TINY}-0123abcd.pth will do", str(tmp_path), "answered 404", "FileNotFound"):
        assert word in str(error.value)
