"""The DAG is killed at random moments and goes on each time; `make test-kills` runs this."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import TINY_CONFIG, fingerprints, snakemake, write_checkout

KILLS = "RECONPATCH_TEST_KILLS"


@pytest.mark.skipif(KILLS not in os.environ, reason="minutes: make test-kills runs it")
def test_tables_after_kills_are_those_of_an_unbroken_run(finished: Path, tmp_path: Path) -> None:
    """Every fifth kill ends Snakemake alone, so that its jobs live on beside the next run's."""
    write_checkout(tmp_path)
    draws = random.Random(0)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *TINY_CONFIG]
    for kill in range(1, int(os.environ[KILLS]) + 1):
        log = tmp_path / f"kill-{kill}.log"
        with log.open("wb") as file:
            run = subprocess.Popen(
                command, cwd=tmp_path, stdout=file, stderr=file, start_new_session=True
            )
        moment = draws.uniform(1, 20)
        time.sleep(moment)
        ended = run.poll()
        if kill % 5:
            os.killpg(run.pid, signal.SIGKILL)
        else:
            run.kill()
        run.wait()
        done = len(list((tmp_path / "results").rglob("metrics.json")))
        print(f"kill {kill} after {moment:.1f} s: {done} runs measured", flush=True)
        # The same command goes on, whatever was left.
        assert ended in (None, 0), log.read_text()
    snakemake(tmp_path, *TINY_CONFIG)
    assert fingerprints(tmp_path) == fingerprints(finished)
    assert not list(tmp_path.rglob("*.part"))
