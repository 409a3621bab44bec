"""Odd input of every kind: a right result or an error in our words, and nothing else.

The gate takes 500 inputs; ``make fuzz`` takes 5,000 (RECONPATCH_FUZZ says how many hundreds).
"""

import copy
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from reconpatch.datasets.category import Category
from reconpatch.datasets.images import open_image
from reconpatch.datasets.mvtec_layout import read_mvtec_layout
from reconpatch.estimation.model_folder import read_model
from reconpatch.estimation.sources import as_sources
from reconpatch.features.weights import Weights
from reconpatch.settings.workflow import check_config
from reconpatch.suites.runs import batches
from reconpatch.suites.suite import load_suite
from reconpatch.utils.errors import InputError
from reconpatch.utils.record import read_record
from tests.conftest import ROOT, write_checkout

HUNDREDS = int(os.environ.get("RECONPATCH_FUZZ", "5"))


def inputs(share: int) -> Any:
    """So many of each hundred inputs; the same ones in each run of the gate."""
    return settings(
        max_examples=share * HUNDREDS,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


WORDS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", "..", "../x", "/etc", "a{", "{data_root}", "$(id)", "a\0b", "none"]),
    st.sampled_from(["x" * 5000, "\u202e", "\ud800", "0x10", "1e400", "yes", "2020-01-01"]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=5,
)
OWN = yaml.safe_load((ROOT / "config" / "suites" / "own.yaml").read_text())
TABLES = yaml.safe_load((ROOT / "config" / "own.yaml").read_text())


def places(tree: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in nested dicts and lists."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for name, value in inner:
        yield (*above, name)
        if isinstance(value, dict | list):
            yield from places(value, (*above, name))


def with_other(tree: Any, place: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(tree)
    inner = changed
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    return changed


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzzed")
    write_checkout(folder)
    return folder / "config"


def loaded(config: Path, suite: bytes, tables: bytes) -> None:
    (config / "suites" / "odd.yaml").write_bytes(suite)
    (config / "own.yaml").write_bytes(tables)
    try:
        batches(load_suite(config / "suites" / "odd.yaml", config.parent / "images", config))
    except InputError as error:
        assert len(str(error)) < 10_000  # noqa: PT017


def as_yaml(tree: Any) -> bytes:
    return yaml.safe_dump(tree).encode("utf-8", "surrogatepass")


@inputs(30)
@given(st.sampled_from([*places(OWN)]), VALUES)
def test_suites(config: Path, place: tuple[Any, ...], value: Any) -> None:
    loaded(config, as_yaml(with_other(OWN, place, value)), as_yaml(TABLES))


@inputs(15)
@given(st.sampled_from([*places(TABLES)]), VALUES)
def test_experiments(config: Path, place: tuple[Any, ...], value: Any) -> None:
    loaded(config, as_yaml(OWN), as_yaml(with_other(TABLES, place, value)))


@inputs(5)
@given(st.binary(max_size=200))
def test_files_that_are_no_suites(config: Path, content: bytes) -> None:
    loaded(config, content, as_yaml(TABLES))
    loaded(config, as_yaml(OWN), content)


@inputs(5)
@given(st.dictionaries(st.one_of(WORDS, st.sampled_from(["device", "threads"])), VALUES))
def test_the_workflows_settings(given: dict[str, Any]) -> None:
    known = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    try:
        check_config({**known, **given}, {"accept_mvtec_licence"})
    except InputError:
        return


def picture(form: str, mode: str) -> bytes:
    pixels = np.random.default_rng(0).integers(256, size=(9, 12, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(content, form)
    return content.getvalue()


PICTURES = [
    picture(form, mode)
    for form, modes in {
        "PNG": ("1", "L", "LA", "P", "RGB", "RGBA"),
        "JPEG": ("L", "RGB", "CMYK"),
        "BMP": ("1", "L", "P", "RGB"),
        "TIFF": ("1", "L", "RGB", "CMYK"),
        "WEBP": ("RGB", "RGBA"),
    }.items()
    for mode in modes
]


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """A file with some bytes others, cut, or with some more."""
    content = bytearray(draw(whole))
    for _ in range(draw(st.integers(0, 4))):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    end = draw(st.integers(0, len(content))) if draw(st.booleans()) else len(content)
    return bytes(content[:end]) + draw(st.binary(max_size=8))


@inputs(25)
@given(damaged(st.sampled_from(PICTURES)), st.sampled_from(["png", "jpg", "tif", "bmp", "webp"]))
def test_images_and_masks(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"odd.{suffix}"
    path.write_bytes(content)
    for mode in ("RGB", "L"):
        try:
            assert open_image(path, mode).mode == mode  # type: ignore[arg-type]
        except InputError as error:
            assert str(path) in str(error)  # noqa: PT017


@inputs(5)
@given(WORDS, st.sampled_from(PICTURES))
def test_names_of_files(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("names") / "category"
    for part in ("train/good", "test/good"):
        (folder / part).mkdir(parents=True)
        (folder / part / "000.png").write_bytes(content)
        try:
            (folder / part / f"{name}.png").write_bytes(content)
        except (OSError, ValueError):
            # No file can be called that.
            return
    try:
        category = read_mvtec_layout(folder, "odd")
        category.write(folder / "category.json")
        assert Category.read(folder / "category.json") == category
    except InputError:
        return


@inputs(5)
@given(VALUES)
def test_what_is_no_image(value: Any) -> None:
    try:
        as_sources(value)
    except InputError:
        return


@inputs(10)
@given(st.data())
def test_records_and_weights(tmp_path: Path, data: st.DataObject) -> None:
    model = json.dumps({"estimator": "PatchCore", "threshold": 1.0, "files": {}, "seal": "0"})
    content = data.draw(damaged(st.sampled_from([model.encode(), b"PK\3\4" + bytes(40), b"{}"])))
    for name in ("model.json", "category.json", "odd.safetensors", "odd.pth"):
        (tmp_path / name).write_bytes(content)
    for read in (
        lambda: read_model(tmp_path),
        lambda: Category.read(tmp_path / "category.json"),
        lambda: read_record(tmp_path / "model.json"),
        Weights(tmp_path / "odd.safetensors", "odd", "").tensors,
        Weights(tmp_path / "odd.pth", "odd", "").tensors,
    ):
        with pytest.raises(InputError, match=str(tmp_path)):
            read()
