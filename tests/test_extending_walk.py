"""docs/extending.md, followed to the letter, to the jobs that it plans."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, planned_jobs, write_checkout

PAGE = (ROOT / "docs" / "extending.md").read_text()
BACKBONE, TABLE, NAMED = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def follow(command: str, folder: Path, code: int = 0) -> str:
    program, *arguments = shlex.split(command)
    done = subprocess.run(
        [sys.executable, "-m", program, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("walk")
    write_checkout(folder)
    (folder / "images").rename(folder / "parts")
    return folder


def test_the_walk_ends_where_it_says(checkout: Path) -> None:
    (commands,) = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    create, dry_run = commands.splitlines()
    follow(create, checkout)
    path = checkout / "config" / "suites" / "washers.yaml"
    printed = follow(dry_run, checkout)
    # Three columns of own1's and own2's, and PaDiM; three seeds each.
    assert re.search(r"^own1 .* 12$", printed, re.MULTILINE)
    assert re.search(r"^in all .* 12$", printed, re.MULTILINE)
    assert planned_jobs(printed)["report"] == 1

    suite = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(suite | yaml.safe_load(BACKBONE)))
    assert planned_jobs(follow(dry_run, checkout))["extract"] == 2

    (checkout / "config" / "neighbours.yaml").write_text(TABLE)
    path.write_text(yaml.safe_dump(suite | yaml.safe_load(NAMED)))
    printed = follow(dry_run, checkout)
    assert re.search(r"^neighbours1 .* 12$", printed, re.MULTILINE)
    misspelt = TABLE.replace("reweighting_neighbours", "neighbors")
    (checkout / "config" / "neighbours.yaml").write_text(misspelt)
    assert "neighbors" in follow(dry_run, checkout, code=1)


def test_what_makes_no_suite_is_said(checkout: Path, tmp_path: Path) -> None:
    def refused(arguments: str, folder: Path = checkout) -> str:
        return follow(f"reconpatch suite new {arguments}", folder, code=2)

    assert "no method Padim; there are: PatchCore" in refused("a --from parts --methods Padim")
    assert "demo.yaml exists" in refused("demo --from parts")
    assert "published data set's name" in refused("btad --from parts")
    assert "no category in the MVTec AD layout" in refused(f"a --from {tmp_path}")
    assert "letters, digits" in refused("../a --from parts")
    assert "in a checkout" in refused("a --from parts", tmp_path)
    assert "a.yaml" not in {path.name for path in (checkout / "config" / "suites").iterdir()}
    # One category alone.
    follow("reconpatch suite new one --from parts/washer", checkout)
    written = yaml.safe_load((checkout / "config" / "suites" / "one.yaml").read_text())
    assert written["datasets"][0]["categories"] == ["washer"]
