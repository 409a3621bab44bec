import sys
from pathlib import Path
from shlex import quote

from snakemake.exceptions import WorkflowError

from reconpatch.errors import InputError
from reconpatch.source_hash import source_hash
from reconpatch.suite import load_suite

# The environment that runs Snakemake also runs the steps, whether it is activated or not.
shell.prefix(f"export PATH={quote(str(Path(sys.executable).parent))}:$PATH; ")

KNOWN = {"suite", "data_root", "weights_folder", "device", "threads"}
if unknown := set(config) - KNOWN:
    raise WorkflowError(
        f"config has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(KNOWN))}."
    )

SUITE_FILE = Path("config/suites") / f"{config['suite']}.yaml"
try:
    SUITE = load_suite(SUITE_FILE, Path(config["data_root"]))
    SUITE.check_data()
    RUNS = SUITE.runs()
except InputError as error:
    raise WorkflowError(str(error))

SOURCES = {dataset.id: dataset.source for dataset in SUITE.datasets}
RECIPES = {run.recipe.key: run.recipe for run in RUNS}
FEATURES = {recipe.features.key: recipe for recipe in RECIPES.values()}

# Jobs that can use a GPU ask for one where the device may be one, so that two never share it.
GPUS = 0 if config["device"] == "cpu" else 1

DATA = "results/data/{dataset}/{category}"
PATCHES = "results/features/{dataset}/{category}/{features}"
RUN = "results/runs/{dataset}/{category}/{recipe}/{seed}"


wildcard_constraints:
    dataset="|".join(SOURCES),
    features="[0-9a-f]{12}",
    recipe="[0-9a-f]{12}",
    seed=r"\d+",


def category_folders(wildcards):
    """The folders whose change of content makes a category's list stale."""
    source = SOURCES[wildcards.dataset]
    if source.layout == "demo":
        return [str(source.root)]
    if source.layout == "elpv":
        return []
    category = source.root / wildcards.category
    return sorted(
        str(folder)
        for part in ("train", "test", "ground_truth")
        for folder in (category / part).glob("*")
        if folder.is_dir()
    )


def kept(path):
    """Features that no suite keeps are deleted once their last run is done."""
    return path if SUITE.keep_features else temp(path)


def patches(wildcards):
    """The features that a run reads."""
    folder = PATCHES.format(
        features=RECIPES[wildcards.recipe].features.key, **wildcards
    )
    return {
        "train": f"{folder}/train.npy",
        "test": f"{folder}/test.npy",
        "masks": f"{folder}/masks.npy",
        "features": f"{folder}/features.json",
    }


def representation(wildcards):
    """What is trained before detection: nothing for PatchCore."""
    trained = RECIPES[wildcards.recipe].representation
    return [f"{RUN}/training.json".format(**wildcards)] if trained else []
