"""The paper's DAG walked by Snakemake's own scheduler, with files as large as the plan says.

All jobs are there, in the order in which they would be done. In place of the steps stands a program
that claims the space of what a step would write, in sparse files, and notes how much there is.
"""

import json
import os
import shutil
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest
import yaml

from reconpatch.planning.space import feature_bytes
from reconpatch.planning.workload import count_work
from reconpatch.suites.runs import timed_runs
from reconpatch.suites.suite import load_suite
from tests.conftest import ROOT

FORMS = ("csv", "md", "tex")
CATEGORIES = ["carpet", "hazelnut", "zipper"]
STEPS = """#!{python} -IS
import json, os, sys
from pathlib import Path

step, asked = sys.argv[1], dict(zip(sys.argv[2::2], sys.argv[3::2]))
sizes = json.loads(Path("sizes.json").read_text())


def claim(path, size=0):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).touch()
    os.truncate(path, size)


if step == "inspect":
    claim(asked["--output"], sizes[asked["--category"]])
elif step == "extract":
    folder = asked["--output"]
    for name, size in sizes[folder].items():
        claim(f"{{folder}}/{{name}}", size)
    there = sum(path.stat().st_size for path in Path("results/features").rglob("*.npy"))
    with open("there.txt", "a") as log:
        print(Path(folder).parent.name, there, file=log)
elif step == "measure":
    place = "/".join(asked[f"--{{name}}"] for name in ("dataset", "category", "experiment"))
    claim(f"results/batches/{{place}}.json")
elif step == "figure":
    for ending in ("svg", "png"):
        claim(f"reports/{{asked['--suite']}}/figures/{{asked['--name']}}.{{ending}}")
else:
    for path in sizes[step]:
        claim(path)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The paper's suite with three of its categories, and an environment with those steps."""
    for part in ("config", "workflow", "profiles"):
        shutil.copytree(ROOT / part, tmp_path / part)
    for part in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / part, tmp_path / part)
    path = tmp_path / "config" / "suites" / "paper.yaml"
    suite = yaml.safe_load(path.read_text())
    suite["datasets"][0]["categories"] = CATEGORIES
    path.write_text(yaml.safe_dump(suite))
    for place in (*(f"mvtec/{name}" for name in CATEGORIES), "btad/01", "btad/02", "btad/03"):
        # Without train/good the images count as published.
        (tmp_path / "data" / place / "train").mkdir(parents=True)
    (tmp_path / "data" / "dtd" / "images").mkdir(parents=True)
    scripts = tmp_path / "environment" / "bin"
    scripts.mkdir(parents=True)
    (scripts / "python").symlink_to(sys.executable)
    (scripts.parent / "lib").symlink_to(Path(sys.prefix) / "lib")
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", scripts.parent)
    (scripts / "reconpatch").write_text(STEPS.format(python=os.path.realpath(sys.executable)))
    (scripts / "reconpatch").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_one_categorys_features_at_a_time_fit_into_120_gb(folder: Path) -> None:
    suite = load_suite(folder / "config/suites/paper.yaml", Path("data"), Path("config"))
    workload = count_work(suite, Path("results"))
    sizes: dict[str, object] = {
        category: 100 * (images.train + images.test)
        for (_, category), images in workload.images.items()
    }
    for extraction in workload.extractions:
        size = feature_bytes(workload, extraction)
        place = f"{extraction.dataset}/{extraction.category}/{extraction.settings.key}"
        sizes[f"results/features/{place}"] = {
            "train.npy": size["patch features"],
            "test.npy": 0,
            "masks.npy": size["masks"],
            "category.json": 0,
            "features.json": 0,
        }
    sizes["time-inference"] = [f"results/runs/{r.id}/inference.json" for r in timed_runs(suite)]
    sizes["report"] = [
        *(f"reports/paper/{name}" for name in ("report.html", "claims.csv", "headline.txt")),
        *(f"reports/paper/tables/{n}.{e}" for n in suite.experiments.tables for e in FORMS),
    ]
    (folder / "sizes.json").write_text(json.dumps(sizes))

    python = folder / "environment" / "bin" / "python"
    walk = [python, "-m", "snakemake", "--cores", "2", "--config", "device=cuda"]
    done = subprocess.run(walk, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    there = [line.split() for line in (folder / "there.txt").read_text().splitlines()]
    assert len(there) == len(workload.extractions)
    # One category's features follow another's.
    assert len(list(groupby(category for category, _ in there))) == len(workload.images)
    assert max(int(size) for _, size in there) < 120e9
    assert sum(path.stat().st_size for path in (folder / "results").rglob("train.npy")) == 0
