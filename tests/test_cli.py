"""What the command line says to names and values that nothing has: an error, never a traceback."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from reconpatch.cli import main
from reconpatch.suites.cells import panels
from reconpatch.suites.suite import load_suite
from tests.conftest import ROOT

DEMO = load_suite(ROOT / "config" / "suites" / "demo.yaml", Path("data"), ROOT / "config")
DRAWN = DEMO.datasets[0].id
MEASURE = "measure --suite demo --device cpu --experiment"
UNMEASURED = [
    (f"figure --suite demo --name {name}", ["--config suite=demo"])
    for name in DEMO.experiments.figures
    if panels(DEMO, name)
]
SOURCE = '{"layout": "mvtec", "dataset": "own", "root": "nowhere"}'

Refused = Callable[..., str]


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Refused]:
    """Run a command that must end with exit code 2, and return what it said on one line."""
    for name in ("config", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")

    def run(command: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["reconpatch", *command.split(), *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        return " ".join(capsys.readouterr().err.split())

    threads = torch.get_num_threads()
    yield run
    # The commands set this for the process, which here is that of the other tests too.
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    ("command", "complaints"),
    [
        ("fetch --suite nosuch", ["no suite nosuch; there are: demo, "]),
        ("fetch --suite demo --only nosuch", ["does not need nosuch; it needs: weights"]),
        ("bundle --suite nosuch --output x.tar", ["no suite nosuch"]),
        ("bundle --suite demo --output docs", ["docs is a folder"]),
        ("doctor --suite nosuch", ["no suite nosuch"]),
        ("measure --suite nosuch --experiment a --dataset b --category c", ["no suite nosuch"]),
        (f"{MEASURE} nosuch --dataset b --category c", ["--experiment nosuch", "table5"]),
        (f"{MEASURE} table5 --dataset nosuch --category c", ["--dataset nosuch", DRAWN]),
        (
            f"{MEASURE} table4 --dataset {DRAWN} --category nosuch",
            ["Suite demo has nothing to measure for --category nosuch; there are: washer, weave."],
        ),
        (
            f"{MEASURE} table4 --dataset {DRAWN} --category washer --device nosuch",
            ["Device nosuch is not to be had"],
        ),
        (
            f"{MEASURE} table4 --dataset {DRAWN} --category washer --results nosuch",
            ["nosuch/features/", "snakemake --cores all --config suite=demo"],
        ),
        ("time-inference --suite nosuch", ["no suite nosuch"]),
        ("time-inference --suite demo --device cpu --results nosuch", ["nosuch/features/"]),
        ("figure --suite nosuch --name figure3", ["no suite nosuch"]),
        ("figure --suite demo --name nosuch", ["no figure nosuch; it has figure3, "]),
        ("figure --suite demo --name table5", ["no figure table5"]),
        (
            "figure --suite demo --name ranks1",
            ["methods are ranked over 5 categories or more, and the suite has 1"],
        ),
        (
            "figure --suite elpv --name figureS4",
            ["Suite elpv does not draw figureS4: the suite lacks the data set"],
        ),
        *UNMEASURED,
        ("preview-defects --output p.png --folder nosuch", ["nosuch is not a folder"]),
        ("preview-defects --output p.png --suite nosuch --category a", ["no suite nosuch"]),
        (
            "preview-defects --output p.png --suite demo --category nosuch",
            ["no category nosuch; it has washer, weave, poly."],
        ),
        ("preview-defects --output p.png --suite demo", ["Choose the images"]),
        ("plan --suite nosuch", ["no suite nosuch"]),
        ("plan --suite demo --device nosuch", ["'nosuch' is not one of"]),
        ("report --suite nosuch", ["no suite nosuch"]),
        ("show nosuch", ["no report in reports/nosuch"]),
        ("table 99 --suite demo", ["no report in reports/demo"]),
        ("table 5 --suite demo --format nosuch", ["'nosuch' is not one of"]),
        ("compare nosuch nosuch", ["nosuch is neither a report"]),
        ("write-demo --output config", ["config already exists"]),
    ],
)
def test_a_name_that_nothing_has_is_named(
    command: str, complaints: list[str], refused: Refused
) -> None:
    said = refused(command)
    for complaint in complaints:
        assert complaint in said


def test_a_table_that_the_report_lacks_is_named(tmp_path: Path, refused: Refused) -> None:
    tables = tmp_path / "reports" / "demo" / "tables"
    tables.mkdir(parents=True)
    (tables.parent / "report.html").touch()
    (tables / "table5.csv").touch()
    assert "has no table 99; it has table5." in refused("table 99 --suite demo")


@pytest.mark.parametrize(
    ("source", "category", "complaint"),
    [
        ("{", "a", "--source cannot be used: the whole: Invalid JSON"),
        ("[]", "a", "--source cannot be used: the whole: Input should be an object"),
        ('{"layout": "nosuch", "dataset": "own"}', "a", "layout: Input should be 'mvtec'"),
        ('{"layout": "mvtec", "dataset": "own"}', "a", "layout mvtec needs a root"),
        (SOURCE, "nosuch", "nowhere/nosuch is not a folder"),
        ('{"layout": "elpv", "dataset": "elpv"}', "nosuch", "ELPV has no category nosuch"),
        (SOURCE.replace("mvtec", "demo"), "nosuch", "The demo has no category nosuch"),
    ],
)
def test_a_source_that_is_none_is_named(
    source: str, category: str, complaint: str, refused: Refused
) -> None:
    said = refused("inspect --output c.json", "--source", source, "--category", category)
    assert complaint in said


@pytest.mark.parametrize(
    ("listed", "patches", "complaint"),
    [
        ("{", "{}", "c.json does not list a category's images"),
        ("[]", "{}", "c.json does not list a category's images"),
        ('{"train": [{}], "test": []}', "{}", "c.json does not list a category's images"),
        (None, "{}", "'c.json' does not exist"),
        ("whole", "{", "--patches cannot be used: the whole: Invalid JSON"),
        ("whole", '{"features": {"nosuch": 1}}', "features.nosuch: Extra inputs"),
        ("whole", '{"features": {"backbone": "nosuch"}}', "Backbone nosuch is neither a preset"),
    ],
)
def test_extracting_what_is_none_is_refused(
    listed: str | None, patches: str, complaint: str, refused: Refused
) -> None:
    whole = {"dataset": "own", "name": "a", "kind": None, "sha256": "", "train": [], "test": []}
    if listed:
        Path("c.json").write_text(json.dumps(whole) if listed == "whole" else listed)
    said = refused("extract --category c.json --output f --device cpu", "--patches", patches)
    assert complaint in said
