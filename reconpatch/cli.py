"""The command line: one subcommand a step, as the workflow's rules call them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape

from reconpatch.utils.errors import InputError

if TYPE_CHECKING:
    from reconpatch.suites import Suite

app = typer.Typer(
    help="ReConPatch and PatchCore, measured. The workflow (snakemake) calls these steps in order.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Folder = Annotated[Path, typer.Option(help="The folder that the step fills.")]
SuiteName = Annotated[str, typer.Option(help="The suite's name: a file of config/suites.")]
DataRoot = Annotated[Path, typer.Option(help="Where the data sets lie.")]
Config = Annotated[Path, typer.Option(help="Where suites, experiments and published tables lie.")]
Results = Annotated[Path, typer.Option(help="Where everything that is measured lies.")]
Reports = Annotated[Path, typer.Option(help="Where the reports lie.")]
Weights = Annotated[Path, typer.Option(help="Where local weight files lie.")]
TextureFolder = Annotated[Path, typer.Option(help="DTD's folder; it need not be there.")]
Seed = Annotated[int, typer.Option(help="Decides every draw of the step.", min=0)]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:N, or auto: a GPU where there is one.")]
Threads = Annotated[int, typer.Option(help="CPU threads; part of what makes bits repeat.", min=1)]


@app.command()
def write_demo(
    output: Folder,
    seed: Seed = 0,
) -> None:
    """Draw the procedural data set: a washer and a weave, with exact masks."""
    from reconpatch.datasets import write_demo

    write_demo(output, seed)


@app.command()
def fetch(
    suite: SuiteName,
    only: Annotated[
        list[str] | None, typer.Option(help="Of these data sets alone; weights counts as one.")
    ] = None,
    accept: Annotated[
        list[str] | None, typer.Option(help="Data sets whose licence you have accepted.")
    ] = None,
    data_root: DataRoot = Path("data"),
    config: Config = Path("config"),
    weights: Weights = Path("weights"),
) -> None:
    """Fetch what a suite needs of data sets and weights; check what is here already."""
    from reconpatch.setup.fetch_suite import supply

    supply(_suite(suite, data_root, config), config, weights, only, accept or ())


@app.command()
def bundle(
    suite: SuiteName,
    output: Annotated[Path, typer.Option(help="The tar file to write.")],
    data_root: DataRoot = Path("data"),
    config: Config = Path("config"),
    weights: Weights = Path("weights"),
) -> None:
    """Pack weights, data inventory and settings of a suite for a machine without a network."""
    from reconpatch.setup.bundle import write_bundle

    write_bundle(_suite(suite, data_root, config), data_root, config, weights, output)


@app.command()
def doctor(
    suite: Annotated[str | None, typer.Option(help="The suite that is to run here.")] = None,
    data_root: DataRoot = Path("data"),
    config: Config = Path("config"),
    weights: Weights = Path("weights"),
) -> None:
    """Check machine, data sets and weights; exit code 1 where something is amiss."""
    from reconpatch.fetching.catalogue import load_catalogue
    from reconpatch.setup.doctor import check_data_and_weights, check_machine, print_checks

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
    output: Annotated[Path, typer.Option(help="The JSON file that lists the images.")],
    config: Config = Path("config"),
) -> None:
    """Check that a category is whole, and list its images, labels and masks."""
    from reconpatch.datasets import Source, load_category
    from reconpatch.fetching.catalogue import load_catalogue
    from reconpatch.fetching.inventory import check_category

    chosen, catalogue = Source.model_validate_json(source), load_catalogue(config)
    if chosen.root and chosen.dataset in catalogue:
        check_category(catalogue[chosen.dataset], chosen.root, category)
    load_category(chosen, category).write(output)


@app.command()
def extract(
    category: Annotated[Path, typer.Option(help="The list that inspect wrote.")],
    patches: Annotated[str, typer.Option(help="What to store, as JSON: features, augmentation.")],
    output: Folder,
    weights: Weights = Path("weights"),
    device: Device = "auto",
    threads: Threads = 2,
) -> None:
    """Compute a category's patch features, once for all runs that share them."""
    from reconpatch.datasets import Category
    from reconpatch.features import extract
    from reconpatch.settings import ExtractionSettings
    from reconpatch.utils.devices import set_up_torch

    extract(
        Category.read(category),
        ExtractionSettings.model_validate_json(patches),
        output,
        weights_folder=weights,
        device=set_up_torch(device, threads),
        threads=threads,
    )


@app.command()
def measure(
    suite: SuiteName,
    experiment: Annotated[str, typer.Option(help="The table or figure whose runs they are.")],
    dataset: Annotated[str, typer.Option(help="The data set's id in the results.")],
    category: Annotated[str, typer.Option(help="The category's name.")],
    data_root: DataRoot = Path("data"),
    config: Config = Path("config"),
    results: Results = Path("results"),
    weights: Weights = Path("weights"),
    textures: TextureFolder = Path("data/dtd"),
    device: Device = "auto",
    threads: Threads = 2,
    cuda_graph: Annotated[
        Literal["auto", "off"],
        typer.Option(help="Whether a GPU replays training steps as a CUDA graph where it can."),
    ] = "auto",
) -> None:
    """Train, detect and evaluate an experiment's runs on a category (Eqs. 1-12, Appendix D)."""
    from reconpatch.refinement import find_textures
    from reconpatch.runs.batch import measure, write_manifest
    from reconpatch.suites import batches
    from reconpatch.utils.devices import set_up_torch

    wanted = (experiment, dataset, category)
    (batch,) = (
        batch
        for batch in batches(_suite(suite, data_root, config))
        if (batch.experiment, batch.dataset, batch.category) == wanted
    )
    where = set_up_torch(device, threads, cuda_graph=cuda_graph)
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
) -> None:
    """Measure the time that one image takes, for the runs of which a table shows it."""
    from reconpatch.runs.recipe_run import RecipeRun
    from reconpatch.runs.timing import time_inference
    from reconpatch.suites import timed_runs
    from reconpatch.utils.devices import set_up_torch

    where = set_up_torch(device, threads)
    runs = timed_runs(_suite(suite, data_root, config))
    time_inference([RecipeRun(run, results, where) for run in runs], weights)


@app.command()
def figure(
    suite: SuiteName,
    name: Annotated[str, typer.Option(help="Which, such as figure3.")],
    data_root: DataRoot = Path("data"),
    config: Config = Path("config"),
    results: Results = Path("results"),
    reports: Reports = Path("reports"),
) -> None:
    """Draw one of the paper's figures from the runs that are there."""
    from reconpatch.reporting import write_figure
    from reconpatch.utils.devices import set_up_torch

    set_up_torch("cpu", 1)
    chosen = _suite(suite, data_root, config)
    write_figure(chosen, name, results, reports / suite / "figures")


@app.command()
def preview_defects(
    output: Annotated[Path, typer.Option(help="The PNG file that the sheet goes to.")],
    folder: Annotated[
        Path | None, typer.Option(help="A category's folder in MVTec AD's layout.")
    ] = None,
    suite: Annotated[str | None, typer.Option(help="Or a suite,")] = None,
    category: Annotated[str | None, typer.Option(help="and the name of its category.")] = None,
    count: Annotated[int, typer.Option(help="How many images.", min=1)] = 6,
    data_root: DataRoot = Path("data"),
    config: Config = Path("config"),
    textures: TextureFolder = Path("data/dtd"),
    seed: Seed = 0,
) -> None:
    """Draw training images with the defects that the refinement is trained on (Appendix D.2)."""
    from reconpatch.datasets import load_category, read_mvtec_layout
    from reconpatch.refinement import find_textures
    from reconpatch.reporting import write_preview
    from reconpatch.settings import FeatureSettings, RefinementSettings

    if folder:
        found = read_mvtec_layout(folder, folder.parent.name, kind=None)
        features, settings = FeatureSettings(), RefinementSettings()
    elif suite and category:
        chosen = _suite(suite, data_root, config)
        source, features, settings = chosen.simulated(category)
        found = load_category(source, category)
    else:
        raise InputError("Say whose images: --folder DIR, or --suite NAME --category NAME.")
    write_preview(found, features, settings, find_textures(textures), count, seed, output)


@app.command()
def plan(
    suite: SuiteName,
    data_root: DataRoot = Path("data"),
    config: Config = Path("config"),
    results: Results = Path("results"),
    device: Device = "auto",
    threads: Threads = 2,
) -> None:
    """Print what a suite will take: runs, jobs, disk, memory, and time as measured here."""
    from reconpatch.planning import print_plan
    from reconpatch.utils.devices import set_up_torch

    print_plan(_suite(suite, data_root, config), results, set_up_torch(device, threads), threads)


@app.command()
def report(
    suite: SuiteName,
    data_root: DataRoot = Path("data"),
    config: Config = Path("config"),
    docs: Annotated[Path, typer.Option(help="Where the project's pages lie.")] = Path("docs"),
    results: Results = Path("results"),
    reports: Reports = Path("reports"),
) -> None:
    """Write a suite's tables and its report from whatever runs are there."""
    from reconpatch.reporting import write_report

    chosen = _suite(suite, data_root, config)
    write_report(chosen, results, config, docs, reports / suite)


@app.command()
def show(
    suite: Annotated[str, typer.Argument(help="The suite's name.")],
    reports: Reports = Path("reports"),
) -> None:
    """Print a suite's tables and say where its figures and its report lie."""
    from reconpatch.reporting import print_tables

    print_tables(reports / suite)


@app.command()
def table(
    name: Annotated[str, typer.Argument(help="Which: 5, S3, sensitivity1, ...")],
    suite: SuiteName,
    form: Annotated[
        Literal["terminal", "csv", "markdown", "latex"],
        typer.Option("--format", help="Drawn for the terminal, or as text to paste."),
    ] = "terminal",
    reports: Reports = Path("reports"),
) -> None:
    """Print one of a suite's tables, drawn or as text to paste."""
    from reconpatch.reporting import print_table

    print_table(reports / suite, name, form)


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="A suite, a report's folder, or one of results.")],
    second: Annotated[str, typer.Argument(help="Another, to hold beside it.")],
    reports: Reports = Path("reports"),
) -> None:
    """Print what moved between two reports or folders of results, beyond the intervals or not."""
    from reconpatch.reporting import print_comparison

    def folder(name: str) -> Path:
        return reports / name if (reports / name).is_dir() else Path(name)

    print_comparison(folder(first), folder(second))


def _suite(name: str, data_root: Path, config: Path) -> "Suite":
    from reconpatch.suites import load_suite

    return load_suite(config / "suites" / f"{name}.yaml", data_root, config)


def main() -> None:
    """Run the command line; a mistake of the user's ends in its message alone, with exit code 2."""
    try:
        app()
    except InputError as error:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"[bold red]Error:[/] {escape(str(error))}")
        sys.exit(2)


if __name__ == "__main__":
    main()
