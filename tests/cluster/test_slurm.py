"""The DAG through a real Slurm, which `make test-slurm` starts on loopback."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.cluster.slurm import Slurm, missing
from tests.conftest import TINY_CONFIG, fingerprints, write_checkout

pytestmark = pytest.mark.skipif(
    "RECONPATCH_TEST_SLURM" not in os.environ, reason="minutes: make test-slurm runs these"
)

COMMAND = (
    *(sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/slurm"),
    *("--slurm-no-account", "--slurm-status-command", "squeue", *TINY_CONFIG),
)


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Slurm]:
    if why := missing():
        pytest.fail(f"No Slurm: {why}.")
    if find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.fail("No snakemake-executor-plugin-slurm: pip install -r requirements-clusters.txt.")
    with Slurm(tmp_path) as cluster:
        yield cluster


def wait_for_job(slurm: Slurm, of: str, run: "subprocess.Popen[bytes]", log: Path) -> str:
    """Return the number of a running job whose comment, its rule and wildcards, has ``of``."""
    while run.poll() is None:
        for line in slurm.run("squeue", "-h", "-t", "R", "-o", "%i %k").splitlines():
            if of in line:
                return line.split()[0]
        time.sleep(0.5)
    raise AssertionError(log.read_text())


def test_the_dag_survives_a_killed_job_and_a_killed_node(
    slurm: Slurm, tmp_path: Path, finished: Path
) -> None:
    folder = tmp_path / "checkout"
    write_checkout(folder)
    log = folder / "run.log"
    started = time.monotonic()
    with log.open("wb") as out:
        run = subprocess.Popen(COMMAND, cwd=folder, stdout=out, stderr=out)
    try:
        job = wait_for_job(slurm, "rule_measure", run, log)
        asked = slurm.run("scontrol", "show", "job", job)
        slurm.run("scancel", "--full", "--signal=KILL", job)
        wait_for_job(slurm, "rule_measure", run, log)
        slurm.kill("slurmd")
        slurm.start_node()
        assert run.wait(timeout=900) == 0, log.read_text()
    finally:
        run.kill()
    said = log.read_text()
    jobs = len(re.findall("submitted with SLURM jobid", said))
    retried = len(re.findall("Trying to restart job", said))
    took = time.monotonic() - started
    print(f"{jobs} submissions in {took:.0f} s, {took / jobs:.1f} s each; {retried} retried")
    assert retried >= 1
    assert "gres/gpu=1" in asked or "gres:gpu:1" in asked or "gpu=1" in asked, asked
    assert re.search(r"mem=\d+M", asked), asked
    assert fingerprints(folder) == fingerprints(finished)
    # What succeeds leaves our log alone.
    assert (folder / "logs" / "tiny-e048ed" / "washer" / "table5.log").stat().st_size
