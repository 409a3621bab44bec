"""Command line and DAG as users meet them: fetched once, named file by file, taken elsewhere."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import timm
from safetensors.torch import save_file
from typer.testing import CliRunner

from reconpatch.cli import app
from reconpatch.features.pretrained import find_weights
from reconpatch.suites.suite import load_suite
from tests.fetching.conftest import Mirror, refuse, serve
from tests.fetching.test_archive import below
from tests.fetching.test_fetch import ARCHIVE, CATEGORIES, PLACED, write_catalogue
from tests.test_workflow import ROOT, planned_jobs, snakemake

SUITE = """
title: "a small data set that is not here yet"
datasets:
  - source: {layout: mvtec, dataset: tiny, root: "{data_root}/tiny"}
    categories: found
seeds: [0]
keep_features: true
recipe: {features: {backbone: test_resnet}}
models: {single: {label: tiny}}
"""


def check_out(folder: Path) -> None:
    for part in ("config", "workflow", "profiles"):
        shutil.copytree(ROOT / part, folder / part)
    for part in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / part, folder / part)


def reconpatch(folder: Path, *arguments: str, code: int = 0) -> str:
    """Run the command line in ``folder`` and return what it printed."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    finally:
        os.chdir(before)
    printed = result.output + str(result.exception or "")
    assert result.exit_code == code, printed
    return printed


@pytest.fixture
def checkout(tmp_path: Path, mirror: Mirror) -> Path:
    """The project with weights, and a suite whose data set a server on loopback has."""
    check_out(tmp_path)
    write_catalogue(tmp_path / "config", mirror.url, must_be_accepted=True)
    settings = tmp_path / "config" / "config.yaml"
    settings.write_text(settings.read_text().replace("accept_mvtec_licence", "accept_tiny_licence"))
    (tmp_path / "config" / "suites" / "small.yaml").write_text(SUITE)
    mirror.script = [serve(ARCHIVE)]
    (tmp_path / "weights").mkdir()
    weights = tmp_path / "weights" / "test_resnet.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), weights)
    return tmp_path


def lists(folder: Path) -> list[str]:
    """What the DAG's rule inspect writes for the suite."""
    config = folder / "config"
    suite = load_suite(config / "suites" / "small.yaml", Path("data"), config)
    (dataset,) = suite.datasets
    return [f"results/data/{dataset.id}/{category}/category.json" for category in CATEGORIES]


def test_workflow_fetches_what_is_missing_once(checkout: Path, mirror: Mirror) -> None:
    small = ("--config", "suite=small", "device=cpu")
    refused = snakemake(checkout, *small, succeeds=False)
    for word in ("CC BY-NC-SA 4.0", "--config suite=small accept_tiny_licence=true", "suite=demo"):
        assert word in refused
    assert not mirror.asked

    accepted = (*small, "accept_tiny_licence=true")
    wanted = lists(checkout)
    printed = snakemake(checkout, *wanted, *accepted)
    assert planned_jobs(printed) == {"fetch_tiny": 1, "inspect": 2, "total": 3}
    assert "Tiny is whole in data/tiny" in printed
    assert "CC BY-NC-SA 4.0" in (checkout / "logs" / "fetch-tiny.log").read_text()
    files = below(checkout / "data" / "tiny")
    files.pop("fetched.json")
    assert files == PLACED

    # Once: neither is it fetched again, nor what depends on it done again.
    mirror.script, mirror.asked = [refuse(404)], []
    assert "Nothing to be done" in snakemake(checkout, *wanted, *small)
    assert not mirror.asked


def test_target_data_fetches_data_and_weights_and_starts_no_work(checkout: Path) -> None:
    small = ("--config", "suite=small", "accept_tiny_licence=true", "device=cpu")
    printed = snakemake(checkout, "data", *small)
    assert planned_jobs(printed) == {"data": 1, "total": 1}
    assert "Tiny is whole in data/tiny." in printed
    assert "test_resnet: weights/test_resnet.safetensors" in printed
    assert not (checkout / "results").exists()


def test_data_that_is_given_is_not_fetched(checkout: Path, mirror: Mirror) -> None:
    for name, content in PLACED.items():
        path = checkout / "data" / "tiny" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    wanted = lists(checkout)
    planned = snakemake(checkout, "--dry-run", *wanted, "--config", "suite=small", "device=cpu")
    assert planned_jobs(planned) == {"inspect": 2, "total": 2}
    shutil.rmtree(checkout / "data" / "tiny" / "lid")
    named = reconpatch(checkout, "fetch", "--suite", "small", "--only", "tiny", code=1)
    assert "data/tiny/lid is missing" in named
    assert not mirror.asked


def test_bundle_has_what_a_machine_without_a_network_needs(checkout: Path) -> None:
    bundle = ("bundle", "--suite", "small", "--output")
    printed = reconpatch(checkout, *bundle, "small.tar")
    size = (checkout / "small.tar").stat().st_size
    assert f"small.tar {size / 2**20:.1f} MiB" in " ".join(printed.split())
    assert 0 < size - sum(len(content) for content in below(checkout / "weights").values()) < 1e6
    there = checkout / "there"
    there.mkdir()
    with tarfile.open(checkout / "small.tar") as archive:
        archive.extractall(there, filter="data")
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=there, check=True)
    found = find_weights("test_resnet", there / "weights")
    packed = checkout / "weights" / "test_resnet.safetensors"
    assert found.path.read_bytes() == packed.read_bytes()
    config = there / "config"
    here, taken = (
        load_suite(root / "suites" / "small.yaml", Path("data"), root)
        for root in (checkout / "config", config)
    )
    assert here == taken
    readme = (there / "BUNDLE.txt").read_text()
    for word in (
        "Tiny: tiny.tar.xz into data/",
        "tar -xf small.tar",
        "doctor --suite small --data-root data",
    ):
        assert word in readme
        assert word in printed


def test_doctor_says_what_is_whole_and_absent(checkout: Path) -> None:
    doctor = ("doctor", "--suite", "small")
    (checkout / "weights").rename(checkout / "elsewhere")
    printed = reconpatch(checkout, *doctor, code=1)
    rows = [" ".join(line.split()) for line in printed.splitlines()]
    assert "Tiny nothing in data/tiny absent" in rows
    assert "weights none of 1 here absent" in rows
    assert "make data SUITE=small ACCEPT=tiny" in printed
    assert "2 problems." in printed
    assert len(rows) < 30
    (checkout / "elsewhere").rename(checkout / "weights")
    printed = reconpatch(checkout, "fetch", "--suite", "small", "--accept", "tiny")
    assert "Tiny is whole in data/tiny." in printed
    assert "test_resnet: weights/test_resnet.safetensors (folder weights)" in printed
    printed = reconpatch(checkout, *doctor)
    rows = [" ".join(line.split()) for line in printed.splitlines()]
    assert "Tiny 2 of 2 categories in data/tiny whole" in rows
    assert "weights test_resnet (folder weights) here" in rows
    assert "No problems." in rows


def test_bottle_with_three_flaws_is_told_by_doctor_and_workflow(tmp_path: Path) -> None:
    data = os.environ.get("RECONPATCH_TEST_DATA")
    if not data:
        pytest.skip("RECONPATCH_TEST_DATA does not name the folder that holds mvtec/bottle")
    check_out(tmp_path)
    bottle = tmp_path / "data" / "bottle"
    shutil.copytree(Path(data) / "mvtec" / "bottle", bottle)
    doctor = ("doctor", "--suite", "mvtec-lite")
    missing = bottle / "train" / "good" / "208.png"
    missing.unlink()
    truncated = bottle / "test" / "contamination" / "011.png"
    truncated.write_bytes(truncated.read_bytes()[:-1000])
    mask = bottle / "ground_truth" / "broken_small" / "005_mask.png"
    mask.rename(mask.with_name("005-mask.png"))
    flaws = {
        f"- data/bottle/{flaw}"
        for flaw in (
            "train/good/208.png is missing",
            "ground_truth/broken_small/005_mask.png is missing; 005-mask.png, which does not "
            "belong there, may be it: rename it",
            "test/contamination/011.png is truncated or not an image; replace it with a whole "
            "copy, or delete it if it does not belong to the category",
        )
    }
    printed = reconpatch(tmp_path, *doctor, code=1)
    assert {line for line in printed.splitlines() if line.startswith("- ")} == flaws
    assert "3 problems." in printed

    config = tmp_path / "config"
    suite = load_suite(config / "suites" / "mvtec-lite.yaml", Path("data"), config)
    wanted = f"results/data/{suite.datasets[0].id}/bottle/category.json"
    stopped = snakemake(tmp_path, wanted, "--config", "suite=mvtec-lite", succeeds=False)
    assert {line for line in stopped.splitlines() if line.startswith("- ")} == flaws


def test_a_licence_of_a_data_set_that_is_not_known_cannot_be_accepted(tmp_path: Path) -> None:
    check_out(tmp_path)
    command = ["fetch", "--suite", "demo", "--config", str(tmp_path / "config")]
    result = CliRunner().invoke(app, [*command, "--accept", "mvtek"])
    assert "There is no data set mvtek whose licence could be accepted" in str(result.exception)
