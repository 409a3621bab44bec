"""The command line: a subcommand for each step of the workflow, and some for people."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from reconpatch import own_parts, reading
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
)
from reconpatch.utils.errors import InputError, disk_trouble

if TYPE_CHECKING:
    from reconpatch.settings.base import Settings
    from reconpatch.suites.runs import Batch
    from reconpatch.suites.suite import Suite

AnySettings = TypeVar("AnySettings", bound="Settings")

app = typer.Typer(
    help="Measure ReConPatch and PatchCore. The workflow (snakemake) calls these steps in order.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for others in (own_parts, reading):
    app.add_typer(others.app)


@app.command()
def write_demo(output: Folder, seed: Seed = 0) -> None:
    """Draw the procedural data set: a washer and a weave, with exact masks."""
    from reconpatch.datasets.demo.writer import write_demo

    write_demo(output, seed)


@app.command()
def fetch(
    suite: SuiteName,
    only: Annotated[
        list[str] | None, typer.Option(help="Fetch these data sets alone; weights counts as one.")
    ] = None,
    accept: Annotated[
        list[str] | None, typer.Option(help="Data sets whose licence you have accepted.")
    ] = None,
    data_root: DataRoot = Path("data"),
    config: Config = Path("config"),
    weights: Weights = Path("weights"),
) -> None:
    """Fetch the data sets and weights that a suite needs, and check those that are here."""
    from reconpatch.setup.fetch_suite import fetch_suite

    fetch_suite(_suite(suite, data_root, config), config, weights, only, accept or ())


@app.command()
def bundle(
    suite: SuiteName,
    output: Annotated[Path, typer.Option(help="The tar file to write.")],
    data_root: DataRoot = Path("data"),
    config: Config = Path("config"),
    weights: Weights = Path("weights"),
) -> None:
    """Pack weights and settings of a suite for a machine without a network."""
    from reconpatch.setup.bundle import write_bundle

    write_bundle(_suite(suite, data_root, config), data_root, config, weights, output)


@app.command()
def doctor(
    suite: Annotated[str | None, typer.Option(help="The suite to run on this machine.")] = None,
    data_root: DataRoot = Path("data"),
    config: Config = Path("config"),
    weights: Weights = Path("weights"),
) -> None:
    """Check machine, data sets and weights; the exit code is 1 if there is a problem."""
    from reconpatch.fetching.catalogue import load_catalogue
    from reconpatch.setup.doctor.checks import print_checks
    from reconpatch.setup.doctor.data_and_weights import check_data_and_weights
    from reconpatch.setup.doctor.machine import check_machine

    catalogue = load_catalogue(config)
    chosen = _suite(suite, data_root, config) if suite else None
    to_fetch = chosen.to_fetch(catalogue) if chosen else ()
    checks = check_machine(data_root, [catalogue[name] for name in to_fetch])
    checks += check_data_and_weights(chosen, catalogue, data_root, weights)
    if print_checks(checks, Console(highlight=False)):
        raise typer.Exit(1)


@app.command()
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


@app.command()
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


@app.command()
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

    batch = _batch(_suite(suite, data_root, config), experiment, dataset, category)
    where = set_up_torch(device, threads, matrix_precision, cuda_graph)
    with _after_earlier_steps(suite):
        measure(batch, results, where, weights, find_textures(textures))
    write_manifest(batch, results)


@app.command()
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
    runs = timed_runs(_suite(suite, data_root, config))
    with _after_earlier_steps(suite):
        time_inference([RecipeRun(run, results, where) for run in runs], weights)


@app.command()
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
    chosen = _suite(suite, data_root, config)
    with _after_earlier_steps(suite):
        write_figure(chosen, name, results, reports / suite / "figures")


@app.command()
def preview_defects(
    output: Annotated[Path, typer.Option(help="The PNG file to write.")],
    folder: Annotated[
        Path | None, typer.Option(help="A category's folder in MVTec AD's layout.")
    ] = None,
    suite: Annotated[str | None, typer.Option(help="Or: a suite,")] = None,
    category: Annotated[str | None, typer.Option(help="and one of its categories.")] = None,
    count: Annotated[int, typer.Option(help="The number of images.", min=1)] = 6,
    data_root: DataRoot = Path("data"),
    config: Config = Path("config"),
    textures: TextureFolder = Path("data/dtd"),
    seed: Seed = 0,
) -> None:
    """Draw training images with simulated defects, which train the refinement (Appendix D.2)."""
    from reconpatch.datasets.mvtec_layout import read_mvtec_layout
    from reconpatch.datasets.source import load_category
    from reconpatch.refinement.textures import find_textures
    from reconpatch.reporting.preview import write_preview
    from reconpatch.settings.features import FeatureSettings
    from reconpatch.settings.refinement import RefinementSettings

    if folder:
        images = read_mvtec_layout(folder, folder.parent.name)
        features, settings = FeatureSettings(), RefinementSettings()
    elif suite and category:
        chosen = _suite(suite, data_root, config)
        source, features, settings = chosen.simulated(category)
        images = load_category(source, category)
    else:
        raise InputError("Choose the images: --folder DIR, or --suite NAME --category NAME.")
    write_preview(images, features, settings, find_textures(textures), count, seed, output)


@app.command()
def plan(
    suite: SuiteName,
    data_root: DataRoot = Path("data"),
    config: Config = Path("config"),
    results: Results = Path("results"),
    reports: Reports = Path("reports"),
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        typer.Option(help="The device to plan for; auto means a GPU if there is one."),
    ] = "auto",
) -> None:
    """Print what a suite needs: runs, jobs, disk, memory, and time as finished runs took it."""
    from reconpatch.planning.plan import print_plan
    from reconpatch.utils.gpu import has_gpu

    on_gpu = device == "cuda" or (device == "auto" and has_gpu())
    print_plan(_suite(suite, data_root, config), results, reports, on_gpu=on_gpu)


@app.command()
def rehearse(
    suite: SuiteName,
    output: Annotated[
        Path, typer.Option(help="The folder of rehearsals; this one's gets the suite's name.")
    ] = Path("rehearsals"),
    config: Config = Path("config"),
    device: Device = "auto",
    cores: Annotated[
        str, typer.Option(help="How many cores to use, as snakemake takes it.")
    ] = "all",
) -> None:
    """Run a suite once on a few drawn images, with random weights, before the night is spent."""
    from reconpatch.planning.rehearsal import rehearse

    if not rehearse(suite, config, output / suite, device, cores):
        raise typer.Exit(1)


@app.command()
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

    chosen = _suite(suite, data_root, config)
    write_report(chosen, results, config, docs, reports / suite)


def _suite(name: str, data_root: Path, config: Path) -> "Suite":
    from reconpatch.suites.suite import load_suite

    return load_suite(config / "suites" / f"{name}.yaml", data_root, config)


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


def main() -> None:
    """Run the command line; after an InputError print its message alone and exit with code 2."""
    try:
        app()
    except Exception as error:
        # torch's error is known by its name, as torch itself is slow to import.
        if type(error).__name__ == "OutOfMemoryError":
            from reconpatch.utils.halving import out_of_memory

            error = out_of_memory(error)
        if isinstance(error, OSError):
            error = disk_trouble(error) or error
        if not isinstance(error, InputError):
            raise
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"[bold red]Error:[/] {escape(str(error))}")
        sys.exit(2)


if __name__ == "__main__":
    main()
