import sys
from functools import cache
from hashlib import sha256
from pathlib import Path
from shlex import quote

from snakemake.exceptions import WorkflowError

from reconpatch.datasets.source import kind_in, reader_code
from reconpatch.fetching.catalogue import load_catalogue
from reconpatch.fetching.fetch import STAMP
from reconpatch.planning.resources import (
    PROCESS_MB,
    batch_resources,
    extraction_resources,
    inspection_resources,
)
from reconpatch.planning.workload import count_images
from reconpatch.features.presets import check_backbone
from reconpatch.settings.workflow import check_config
from reconpatch.suites.runs import backbones, batches, runs_of, summary, timed_runs
from reconpatch.suites.suite import load_suite
from reconpatch.suites.cells import panels
from reconpatch.suites.experiments import title
from reconpatch.utils.errors import InputError
from reconpatch.utils.file_states import states
from reconpatch.utils.fingerprint import code_fingerprint, fingerprint
from reconpatch.utils.gpu import has_gpu
from reconpatch.utils.import_graph import PACKAGE
from reconpatch.utils.killed_runs import take_over
from reconpatch.utils.steps import STEPS

# The environment that runs Snakemake also runs the steps, whether it is activated or not. A prefix
# replaces Snakemake's own, without which a step that fails before `| tee` would count as done.
shell.prefix(
    f"set -euo pipefail; export PATH={quote(str(Path(sys.executable).parent))}:$PATH; "
)

if workflow.is_main_process and not workflow.dryrun:
    for line in take_over(Path.cwd()):
        print(line, file=sys.stderr)

CATALOGUE = load_catalogue(Path("config"))
ACCEPTING = {d.accepting: name for name, d in CATALOGUE.items() if d.must_be_accepted}
try:
    check_config(config, ACCEPTING)
except InputError as error:
    raise WorkflowError(str(error))

# Snakemake leaves what the command line says a string.
ACCEPTED = [
    name
    for setting, name in ACCEPTING.items()
    if str(config.get(setting)).lower() in ("true", "yes", "1")
]

SUITE_FILE = f"config/suites/{config['suite']}.yaml"
try:
    SUITE = load_suite(Path(SUITE_FILE), Path(config["data_root"]), Path("config"))
    SUITE.check_data(CATALOGUE, ACCEPTED)
    BATCHES = {batch.id: batch for batch in batches(SUITE)}
    for backbone in backbones(SUITE):
        check_backbone(backbone)
    TIMED = timed_runs(SUITE)
    FIGURES = [name for name in SUITE.experiments.figures if panels(SUITE, name)]
    if workflow.output_settings.dryrun:
        print(summary(SUITE), file=sys.stderr)
except InputError as error:
    raise WorkflowError(str(error))

# Once a data set is there, it is none of the workflow's business where it came from.
TO_FETCH = SUITE.to_fetch(CATALOGUE)
SOURCES = {dataset.id: dataset.source for dataset in SUITE.datasets}
EXTRACTIONS = {e.key: e for batch in BATCHES.values() for e in batch.extractions}
OWNERS = {run: batch.id for batch in BATCHES.values() for run in batch.runs}

# Jobs that can use a GPU ask for one, so that no more run than there are; each then takes one that
# no other has. Where this machine has none, auto asks for none; a cluster whose nodes alone have
# GPUs is told device=cuda.
ON_CPU = config["device"] == "cpu" or (config["device"] == "auto" and not has_gpu())
GPUS = 0 if ON_CPU else 1

# YAML reads a bare off as false.
CUDA_GRAPH = "off" if config["cuda_graph"] is False else config["cuda_graph"]

# What simulated defects are filled with: of the suite's own data set, or wherever it may lie.
TEXTURES = str(SUITE.extra_datasets.get("dtd", config["textures_folder"]))

DATA = "results/data/{dataset}/{category}"
PATCHES = "results/features/{dataset}/{category}/{patches}"
BATCH = "results/batches/{dataset}/{category}/{experiment}"


wildcard_constraints:
    dataset="|".join(SOURCES),
    patches="[0-9a-f]{12}",
    experiment=r"\w+",
    figure="|".join(FIGURES) or "none",


def category_folders(wildcards):
    """The folders whose change of content makes a category's list stale."""
    source = SOURCES[wildcards.dataset]
    if source.layout == "demo":
        return [str(source.root)]
    if source.layout == "elpv":
        return []
    category = source.root / wildcards.category
    stamp = source.root / STAMP
    if TO_FETCH.get(source.dataset) == source.root:
        # Which folders a category has is known once it is there.
        getattr(checkpoints, f"fetch_{source.dataset}").get()
    # The same files are named the next time, when the data set is there.
    return [str(stamp)] * stamp.is_file() + sorted(
        str(folder)
        for part in ("train", "test", "ground_truth")
        for folder in (category / part).glob("*")
        if folder.is_dir()
    )


def image_states(wildcards):
    """What changes when an image is overwritten in place, which no folder's time tells.

    Snakemake compares no parameter that is made of its argument ``input``.
    """
    if SOURCES[wildcards.dataset].layout == "demo":
        # They are drawn by the workflow, and may not be there yet.
        return ""
    folders = [Path(name) for name in category_folders(wildcards)]
    return states(
        file for folder in folders for file in folder.rglob("*") if file.is_file()
    )


def weight_states(wildcards):
    """What changes when the weights file that somebody put there is replaced.

    One that is downloaded has its hash in its name.
    """
    name = EXTRACTIONS[wildcards.patches].features.backbone
    return states(
        file
        for file in Path(config["weights_folder"]).glob(f"{name}.*")
        if file.is_file()
    )


def kept(path):
    """Features that no suite keeps are deleted once their last run is done."""
    return path if SUITE.keep_features else temp(path)


def stored(dataset, category, settings):
    """The files of some patch features."""
    folder = PATCHES.format(dataset=dataset, category=category, patches=settings.key)
    return [
        f"{folder}/{name}"
        for name in ("train.npy", "test.npy", "masks.npy", "features.json")
    ]


def batch_of(wildcards):
    return BATCHES["{dataset}/{category}/{experiment}".format(**wildcards)]


@cache
def images_of(dataset, category):
    """How many images a category has."""
    inspected = f"{DATA}/category.json".format(dataset=dataset, category=category)
    return count_images(SOURCES[dataset], category, Path(inspected))


def inspection_needs(wildcards):
    """What the inspection of a category takes at most."""
    return inspection_resources(images_of(wildcards.dataset, wildcards.category))


def extraction_needs(wildcards):
    """What the extraction of some patch features takes at most."""
    images = images_of(wildcards.dataset, wildcards.category)
    return extraction_resources(EXTRACTIONS[wildcards.patches], images)


def batch_needs(wildcards):
    """What the measurement of a batch takes at most."""
    images = images_of(wildcards.dataset, wildcards.category)
    return batch_resources(batch_of(wildcards), images, on_gpu=not ON_CPU)


def texture_inputs(batch):
    """What says that the textures are there, of a batch that simulates defects of them."""
    root = SUITE.extra_datasets.get("dtd")
    if root is None or not batch.simulates_textures:
        return []
    stamp = root / STAMP
    return [str(stamp)] if "dtd" in TO_FETCH or stamp.is_file() else []


def batch_inputs(wildcards):
    """The patch features that a batch reads, and the batches that it goes on from."""
    batch = batch_of(wildcards)
    place = (batch.dataset, batch.category)
    files = [file for e in batch.extractions for file in stored(*place, e)]
    files += texture_inputs(batch)
    return files + [
        BATCH.format(
            dataset=batch.dataset, category=batch.category, experiment=experiment
        )
        + ".json"
        for experiment in batch.after
    ]


def run_names(runs):
    """What makes a job stale when it is to measure or show other runs."""
    return sha256(" ".join(sorted(run.id for run in runs)).encode()).hexdigest()[:12]


def measured(runs):
    """The files that say that runs are measured."""
    return sorted({f"results/batches/{OWNERS[run]}.json" for run in runs})


def figure_labels(wildcards):
    """What Snakemake's report calls a figure."""
    drawn = SUITE.experiments.figures[wildcards.figure]
    return {"figure": title(wildcards.figure), "shows": drawn.caption}


def figure_inputs(wildcards):
    """The runs that a figure draws, and the patch features if it embeds them."""
    runs = runs_of(SUITE, wildcards.figure)
    embeds = SUITE.experiments.figures[wildcards.figure].draws == "embedding"
    features = {
        file
        for run in runs
        if embeds
        for file in stored(run.dataset, run.category, run.recipe.train_extraction)
    }
    return measured(runs) + sorted(features)
