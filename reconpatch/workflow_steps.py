"""The commands that the workflow calls, a subcommand a step."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from reconpatch.options import (
    Config,
    DataRoot,
    Device,
    Folder,
    Precision,
    Reports,
    Results,
    Seed,
    SuiteName,
    TextureFolder,
    Threads,
    Weights,
    suite_named,
)
from reconpatch.utils.errors import InputError

if TYPE_CHECKING:
    from reconpatch.settings.base import Settings
    from reconpatch.suites.runs import Batch
    from reconpatch.suites.suite import Suite

AnySettings = TypeVar("AnySettings", bound="Settings")

app = typer.Typer()
PANEL = "Steps, which the workflow (snakemake) calls in order"


@app.command(rich_help_panel=PANEL)
def write_demo(output: Folder, seed: Seed = 0) -> None:
    """Draw the procedural data set: a washer and a weave, with exact masks."""
    from reconpatch.datasets.demo.writer import write_demo

    write_demo(output, seed)


@app.command(rich_help_panel=PANEL)
def inspect(
    source: Annotated[str, typer.Option(help="The source as JSON: layout, dataset, root, ...")],
    category: Annotated[str, typer.Option(help="The category's name.")],
    output: Annotated[Path, typer.Option(help="The JSON file to write: the list of images.")],
    config: Config = Path("config"),
) -> None:
    """Check that a category is whole, and list its images, labels and masks."""
    from reconpatch.datasets.oddities import oddities
    from reconpatch.datasets.source import Source, load_category
    from reconpatch.fetching.catalogue import load_catalogue
    from reconpatch.fetching.inventory import check_category

    chosen, catalogue = _from_json(Source, source, "--source"), load_catalogue(config)
    if chosen.root and chosen.dataset in catalogue:
        check_category(catalogue[chosen.dataset], chosen.root, category)
    listed = load_category(chosen, category)
    for oddity in oddities(listed):
        print(f"{category}: {oddity}.", file=sys.stderr)
    listed.write(output)


@app.command(rich_help_panel=PANEL)
def extract(
    category: Annotated[
        Path, typer.Option(help="The list that inspect wrote.", exists=True, dir_okay=False)
    ],
    patches: Annotated[
        str, typer.Option(help="Settings of the features as JSON: features, augmentation.")
    ],
    output: Folder,
    weights: Weights = Path("weights"),
    device: Device = "auto",
    threads: Threads = 2,
    matrix_precision: Precision = "highest",
) -> None:
    """Compute a category's patch features, which several runs share."""
    from reconpatch.datasets.category import Category
    from reconpatch.features.extract import extract
    from reconpatch.settings.features import ExtractionSettings
    from reconpatch.utils.devices import set_up_torch

    extract(
        Category.read(category),
        _from_json(ExtractionSettings, patches, "--patches"),
        output,
        weights_folder=weights,
        device=set_up_torch(device, threads, matrix_precision),
        threads=threads,
    )


@app.command(rich_help_panel=PANEL)
def measure(
    suite: SuiteName,
    experiment: Annotated[str, typer.Option(help="The table or figure whose runs to measure.")],
    dataset: Annotated[str, typer.Option(help="The data set's folder name in the results.")],
    category: Annotated[str, typer.Option(help="The category's name.")],
    data_root: DataRoot = Path("data"),
    config: Config = Path("config"),
    results: Results = Path("results"),
    weights: Weights = Path("weights"),
    textures: TextureFolder = Path("data/dtd"),
    device: Device = "auto",
    threads: Threads = 2,
    matrix_precision: Precision = "highest",
    cuda_graph: Annotated[
        Literal["auto", "off"],
        typer.Option(help="Whether a GPU replays training steps as a CUDA graph where it can."),
    ] = "auto",
) -> None:
    """Train, detect and evaluate an experiment's runs on a category (Eqs. 1-12, Appendix D)."""
    from reconpatch.refinement.textures import find_textures
    from reconpatch.runs.batch import measure, write_manifest
    from reconpatch.utils.devices import set_up_torch

    batch = _batch(suite_named(suite, data_root, config), experiment, dataset, category)
    where = set_up_torch(device, threads, matrix_precision, cuda_graph)
    with _after_earlier_steps(suite):
        measure(batch, results, where, weights, find_textures(textures))
    write_manifest(batch, results)


@app.command(rich_help_panel=PANEL)
def time_inference(
    suite: SuiteName,
    data_root: DataRoot = Path("data"),
    config: Config = Path("config"),
    results: Results = Path("results"),
    weights: Weights = Path("weights"),
    device: Device = "auto",
    threads: Threads = 2,
    matrix_precision: Precision = "highest",
) -> None:
    """Measure the inference time of an image, for the runs whose time a table shows."""
    from reconpatch.runs.recipe_run import RecipeRun
    from reconpatch.runs.timing import time_inference
    from reconpatch.suites.runs import timed_runs
    from reconpatch.utils.devices import set_up_torch

    where = set_up_torch(device, threads, matrix_precision)
    runs = timed_runs(suite_named(suite, data_root, config))
    with _after_earlier_steps(suite):
        time_inference([RecipeRun(run, results, where) for run in runs], weights)


@app.command(rich_help_panel=PANEL)
def figure(
    suite: SuiteName,
    name: Annotated[str, typer.Option(help="The figure, such as figure3.")],
    data_root: DataRoot = Path("data"),
    config: Config = Path("config"),
    results: Results = Path("results"),
    reports: Reports = Path("reports"),
) -> None:
    """Draw one of the paper's figures from measured runs."""
    from reconpatch.reporting.draw import write_figure
    from reconpatch.utils.devices import set_up_torch

    set_up_torch("cpu", 1)
    chosen = suite_named(suite, data_root, config)
    with _after_earlier_steps(suite):
        write_figure(chosen, name, results, reports / suite / "figures")


@app.command(rich_help_panel=PANEL)
def report(
    suite: SuiteName,
    data_root: DataRoot = Path("data"),
    config: Config = Path("config"),
    docs: Annotated[Path, typer.Option(help="The folder of the project's documents.")] = Path(
        "docs"
    ),
    results: Results = Path("results"),
    reports: Reports = Path("reports"),
) -> None:
    """Write a suite's tables and its report from the runs measured so far."""
    from reconpatch.reporting.report import write_report

    chosen = suite_named(suite, data_root, config)
    write_report(chosen, results, config, docs, reports / suite)


def _batch(suite: "Suite", experiment: str, dataset: str, category: str) -> "Batch":
    """Return the one batch of these names, or say which of them the suite does not have."""
    from reconpatch.suites.runs import batches

    candidates = batches(suite)
    for field, name in (("experiment", experiment), ("dataset", dataset), ("category", category)):
        known = dict.fromkeys(getattr(batch, field) for batch in candidates)
        if name not in known:
            raise InputError(
                f"Suite {suite.name} has nothing to measure for --{field} {name}; "
                f"there are: {', '.join(known)}."
            )
        candidates = [batch for batch in candidates if getattr(batch, field) == name]
    (batch,) = candidates
    return batch


def _from_json(model: type[AnySettings], text: str, option: str) -> AnySettings:
    from pydantic import ValidationError

    from reconpatch.settings.base import readable

    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise InputError(f"{option} cannot be used: {readable(error)}") from None


@contextmanager
def _after_earlier_steps(suite: str) -> Iterator[None]:
    """Turn a missing file of an earlier step into an error that says how to make it."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(
            f"An earlier step's result is missing, or --results names another folder: {error}. "
            f"To run all steps in order: snakemake --cores all --config suite={suite}"
        ) from error
