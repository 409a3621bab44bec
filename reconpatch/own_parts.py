"""The commands for images of one's own: fit, predict, evaluate."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape

from reconpatch.options import Device, Folder, Seed, Threads, Weights

app = typer.Typer()

Model = Annotated[Path, typer.Argument(help="The folder that reconpatch fit wrote.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]


@app.command()
def fit(
    folder: Annotated[Path, typer.Argument(help="The folder of images of good parts.")],
    output: Annotated[Path, typer.Option(help="The folder to write the model to.")],
    method: Annotated[
        Literal["ReConPatch", "PatchCore", "MHPatchcore", "PaDiM", "SPADE"],
        typer.Option(help="The method."),
    ] = "ReConPatch",
    backbone: Annotated[
        str, typer.Option(help="A backbone by its preset or timm's name.")
    ] = "efficientnet_lite0",
    size: Annotated[
        int, typer.Option(help="Pixels of the square that images are squeezed to.", min=1)
    ] = 224,
    false_alarm_rate: Annotated[
        float, typer.Option(help="The share of normal images that may be called anomalous.")
    ] = 0.05,
    seed: Seed = 0,
    weights: Weights = Path("weights"),
    device: Device = "auto",
    threads: Threads = 2,
) -> None:
    """Learn from a folder of good parts what is normal, for predict and evaluate."""
    import warnings

    from reconpatch.estimation.estimators import ESTIMATORS
    from reconpatch.estimation.folders import check_free
    from reconpatch.estimation.sources import images_in

    check_free(output)
    images = images_in(folder)
    detector = ESTIMATORS[method](
        backbone=backbone,
        size=size,
        false_alarm_rate=false_alarm_rate,
        seed=seed,
        weights=weights,
        device=device,
        threads=threads,
    )
    console = Console(highlight=False, soft_wrap=True)
    with warnings.catch_warnings(record=True, category=UserWarning) as caught:
        warnings.simplefilter("always", UserWarning)
        detector.fit(images)
    for warning in caught:
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"[bold]Note:[/] {escape(str(warning.message))}"
        )
    detector.save(output)
    console.print(
        f"{method} is fitted on {len(images)} images; above a score of "
        f"{detector.threshold_:.4g} an image is called anomalous. "
        f"Next: reconpatch predict {escape(str(output))} FOLDER --output OUT"
    )


@app.command()
def predict(
    model: Model,
    images: Annotated[Path, typer.Argument(help="An image, or a folder of images.")],
    output: Folder,
    weights: Weights = Path("weights"),
    device: Device = "auto",
    threads: Threads = 2,
    as_json: AsJson = False,
) -> None:
    """Score images by a fitted model; the exit code is 1 if some could not be read."""
    from dataclasses import asdict

    from reconpatch.estimation.estimators import load
    from reconpatch.estimation.predictions import print_unreadable, write_predictions

    detector = load(model, device=device, threads=threads, weights=weights)
    found = write_predictions(detector, images, output)
    print_unreadable(found)
    if as_json:
        print(json.dumps(asdict(found), indent=2))
    else:
        anomalous = sum(row.anomalous for row in found.images)
        page = (output / "index.html").resolve().as_uri()
        print(f"{anomalous} of {len(found.images)} images are anomalous. Look at them: {page}")
    if found.unreadable:
        raise typer.Exit(1)


@app.command()
def evaluate(
    model: Model,
    folder: Annotated[Path, typer.Argument(help="A labelled folder in MVTec AD's layout.")],
    output: Annotated[
        Path | None, typer.Option(help="A folder for metrics, scores and figures.")
    ] = None,
    weights: Weights = Path("weights"),
    device: Device = "auto",
    threads: Threads = 2,
    as_json: AsJson = False,
) -> None:
    """Measure how well a fitted model tells the test images of a labelled folder apart."""
    from reconpatch.estimation.estimators import load
    from reconpatch.estimation.labelled import evaluate_folder, print_metrics

    detector = load(model, device=device, threads=threads, weights=weights)
    found = evaluate_folder(detector, folder, output)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        print_metrics(found)
