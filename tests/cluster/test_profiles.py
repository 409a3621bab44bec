"""Each cluster's profile, planned by Snakemake with that cluster's plugin."""

import os
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import ROOT, TINY_CONFIG, planned_jobs, snakemake

pytestmark = pytest.mark.skipif(
    "RECONPATCH_TEST_SLURM" not in os.environ, reason="seconds each: make test-slurm runs these"
)

ASKS = {
    "slurm": "gpu=1",
    "lsf": "lsf_extra=-gpu num=1",
    "htcondor": "request_gpus=1",
    "generic": "submit=-l gpu=1",
}


def test_each_profile_is_tried_here() -> None:
    profiles = {path.parent.name for path in (ROOT / "profiles").glob("*/profile.yaml")}
    assert profiles - {"default"} == set(ASKS)


@pytest.mark.parametrize("name", ASKS)
def test_a_profile_is_planned_and_asks_for_gpus_in_its_own_words(name: str, checkout: Path) -> None:
    plugin = "cluster_generic" if name == "generic" else name
    assert find_spec(f"snakemake_executor_plugin_{plugin}"), "requirements-clusters.txt"
    printed = snakemake(
        checkout,
        *("-nF", "--workflow-profile", f"profiles/{name}"),
        *(word.replace("device=cpu", "device=auto") for word in TINY_CONFIG),
    )
    assert planned_jobs(printed)["extract"] >= 1
    for rule in ("extract", "measure", "time_inference"):
        jobs = re.findall(rf"^rule {rule}:.*?^$", printed, re.MULTILINE | re.DOTALL)
        assert jobs
        assert all(re.search(ASKS[name], job) for job in jobs), jobs[0]
