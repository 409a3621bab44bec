"""The commands about a suite before its work: fetch, bundle, doctor, plan, rehearse."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from reconpatch.options import (
    Config,
    DataRoot,
    Device,
    Reports,
    Results,
    Seed,
    SuiteName,
    TextureFolder,
    Weights,
    suite_named,
)
from reconpatch.utils.errors import InputError

app = typer.Typer()
PANEL = "Before a suite runs"
suites = typer.Typer(no_args_is_help=True)
app.add_typer(suites, name="suite", rich_help_panel=PANEL)


@suites.callback()
def about_suites() -> None:
    """Make a suite for images of your own."""


@suites.command()
def new(
    name: Annotated[str, typer.Argument(help="What to call the suite.")],
    folder: Annotated[
        Path,
        typer.Option("--from", help="Categories in MVTec AD's layout, or one of them."),
    ],
    methods: Annotated[
        str,
        typer.Option(help="With commas between them; PatchCore and ReConPatch are always there."),
    ] = "PatchCore,ReConPatch",
    config: Annotated[Path, typer.Option(help="The checkout's folder of suites.")] = Path("config"),
) -> None:
    """Write a suite that measures methods on your own labelled images, three seeds each."""
    from reconpatch.setup.new_suite import write_suite

    named = [method.strip() for method in methods.split(",") if method.strip()]
    path = write_suite(name, folder, named, config)
    print(
        f"{path} is written; change it as you like. What it will do, and then do it:\n"
        f"  reconpatch plan --suite {name}\n"
        f"  snakemake --cores all --config suite={name}"
    )


@app.command(rich_help_panel=PANEL)
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

    fetch_suite(suite_named(suite, data_root, config), config, weights, only, accept or ())


@app.command(rich_help_panel=PANEL)
def bundle(
    suite: SuiteName,
    output: Annotated[Path, typer.Option(help="The tar file to write.")],
    data_root: DataRoot = Path("data"),
    config: Config = Path("config"),
    weights: Weights = Path("weights"),
) -> None:
    """Pack weights and settings of a suite for a machine without a network."""
    from reconpatch.setup.bundle import write_bundle

    write_bundle(suite_named(suite, data_root, config), data_root, config, weights, output)


@app.command(rich_help_panel=PANEL)
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
    chosen = suite_named(suite, data_root, config) if suite else None
    to_fetch = chosen.to_fetch(catalogue) if chosen else ()
    checks = check_machine(data_root, [catalogue[name] for name in to_fetch])
    checks += check_data_and_weights(chosen, catalogue, data_root, weights)
    if print_checks(checks, Console(highlight=False)):
        raise typer.Exit(1)


@app.command(rich_help_panel=PANEL)
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
    print_plan(suite_named(suite, data_root, config), results, reports, on_gpu=on_gpu)


@app.command(rich_help_panel=PANEL)
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


@app.command(rich_help_panel=PANEL)
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
        chosen = suite_named(suite, data_root, config)
        source, features, settings = chosen.simulated(category)
        images = load_category(source, category)
    else:
        raise InputError("Choose the images: --folder DIR, or --suite NAME --category NAME.")
    write_preview(images, features, settings, find_textures(textures), count, seed, output)
