"""The command line: one subcommand a step, as the workflow's rules call them."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from reconpatch.errors import InputError

app = typer.Typer(
    help="ReConPatch and PatchCore, measured. The workflow (snakemake) calls these steps in order.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Folder = Annotated[Path, typer.Option(help="The folder that the step fills.")]
RecipeText = Annotated[str, typer.Option(help="The recipe as JSON; what it leaves out is default.")]
Features = Annotated[Path, typer.Option(help="The folder that extract filled.")]
RunFolder = Annotated[Path, typer.Option(help="The run's folder.")]
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
def inspect(
    source: Annotated[str, typer.Option(help="The source as JSON: layout, dataset, root, ...")],
    category: Annotated[str, typer.Option(help="The category's name.")],
    output: Annotated[Path, typer.Option(help="The JSON file that lists the images.")],
) -> None:
    """Check that a category is whole, and list its images, labels and masks."""
    from reconpatch.datasets import Source, load_category

    load_category(Source.model_validate_json(source), category).write(output)


@app.command()
def extract(
    category: Annotated[Path, typer.Option(help="The list that inspect wrote.")],
    recipe: RecipeText,
    output: Folder,
    weights: Annotated[Path, typer.Option(help="Where local weight files lie.")] = Path("weights"),
    device: Device = "auto",
    threads: Threads = 2,
) -> None:
    """Compute a category's patch features, once for all runs that share them."""
    from reconpatch.datasets import Category
    from reconpatch.features import extract
    from reconpatch.recipe import parse_recipe
    from reconpatch.torch_setup import set_up_torch

    extract(
        Category.read(category),
        parse_recipe(recipe).features,
        output,
        weights_folder=weights,
        device=set_up_torch(device, threads),
        threads=threads,
    )


@app.command()
def train(
    features: Features,
    recipe: RecipeText,
    output: RunFolder,
    seed: Seed = 0,
    device: Device = "auto",
    threads: Threads = 2,
) -> None:
    """Train ReConPatch's representation on a category's patch features (Eqs. 1-8)."""
    from reconpatch.recipe import parse_recipe
    from reconpatch.run import train_run
    from reconpatch.torch_setup import set_up_torch

    train_run(features, parse_recipe(recipe), seed, output, set_up_torch(device, threads))


@app.command()
def detect(
    features: Features,
    recipe: RecipeText,
    output: RunFolder,
    seed: Seed = 0,
    device: Device = "auto",
    threads: Threads = 2,
) -> None:
    """Build the memory bank and score the test images (Eqs. 9-10)."""
    from reconpatch.recipe import parse_recipe
    from reconpatch.run import detect_run
    from reconpatch.torch_setup import set_up_torch

    detect_run(features, parse_recipe(recipe), seed, output, set_up_torch(device, threads))


@app.command()
def evaluate(
    features: Features,
    recipe: RecipeText,
    output: RunFolder,
    seed: Seed = 0,
) -> None:
    """Measure a run: image and pixel AUROC, discriminability index (Eq. 12)."""
    from reconpatch.recipe import parse_recipe
    from reconpatch.run import evaluate_run

    evaluate_run(features, parse_recipe(recipe), seed, output)


@app.command()
def plan(
    suite: Annotated[str, typer.Option(help="The suite's name.")],
    data_root: Annotated[Path, typer.Option(help="Where the data sets lie.")] = Path("data"),
    suites: Annotated[Path, typer.Option(help="Where the suites lie.")] = Path("config/suites"),
    device: Device = "auto",
    threads: Threads = 2,
) -> None:
    """Print what a suite will take: runs, jobs, disk, memory, and time as measured here."""
    from reconpatch.planning import print_plan
    from reconpatch.suite import load_suite
    from reconpatch.torch_setup import set_up_torch

    chosen = load_suite(suites / f"{suite}.yaml", data_root)
    print_plan(chosen, Path("results"), set_up_torch(device, threads), threads)


@app.command()
def report(
    suite: Annotated[Path, typer.Argument(help="The suite's YAML file.")],
    data_root: Annotated[Path, typer.Option(help="Where the data sets lie.")] = Path("data"),
    results: Annotated[Path, typer.Option(help="Where the runs lie.")] = Path("results/runs"),
    published: Annotated[Path, typer.Option(help="The paper's tables.")] = Path("config/published"),
    output: Annotated[Path, typer.Option(help="Where the report goes.")] = Path("reports"),
) -> None:
    """Draw a suite's tables and its report from whatever runs are there."""
    from reconpatch.reporting import write_report
    from reconpatch.suite import load_suite

    write_report(load_suite(suite, data_root), results, published, output / suite.stem)


@app.command()
def show(
    suite: Annotated[str, typer.Argument(help="The suite's name.")],
    reports: Annotated[Path, typer.Option(help="Where the reports lie.")] = Path("reports"),
) -> None:
    """Print a suite's table and say where its report lies."""
    from reconpatch.reporting import print_table

    print_table(reports / suite)


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
