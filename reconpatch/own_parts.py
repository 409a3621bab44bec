"""The commands for images of one's own: fit, predict, evaluate."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape

from reconpatch.options import Device, Folder, Seed, Threads, Weights
from reconpatch.utils.errors import InputError

app = typer.Typer()
PANEL = "Your own images"

Model = Annotated[Path, typer.Argument(help="The folder that reconpatch fit wrote.")]
Method = Literal[
    "ReConPatch",
    "PatchCore",
    "MHPatchcore",
    "PaDiM",
    "SPADE",
    "PNI",
    "FastFlow",
    "CFLOW",
    "CFA",
    "RD4AD",
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]


@app.command(rich_help_panel=PANEL)
def fit(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="The folder of images of good parts.")],
    output: Annotated[Path, typer.Option(help="The folder to write the model to.")],
    method: Annotated[
        Method,
        typer.Option(help="The method."),
    ] = "ReConPatch",
    epochs: Annotated[
        int | None,
        typer.Option(help="Of a training; by default 3 for ReConPatch, and a paper's for others."),
    ] = None,
    backbone: Annotated[
        str, typer.Option(help="A backbone by its preset or timm's name.")
    ] = "efficientnet_lite0",
    size: Annotated[
        int, typer.Option(help="Pixels of the square that images are squeezed to.", min=1)
    ] = 224,
    false_alarm_rate: Annotated[
        float, typer.Option(help="The share of normal images that may be called anomalous.")
    ] = 0.05,
    add_to: Annotated[
        Path | None,
        typer.Option(
            help="A fitted model: fit anew with its settings, on its images and those of FOLDER."
        ),
    ] = None,
    seed: Seed = 0,
    weights: Weights = Path("weights"),
    device: Device = "auto",
    threads: Threads = 2,
) -> None:
    """Learn from a folder of good parts what is normal, for predict and evaluate."""
    import warnings

    from reconpatch.estimation.folders import check_free, images_in

    # What can be wrong is said before torch is imported, which takes seconds.
    check_free(output)
    images = images_in(folder)
    if add_to:
        _takes_its_settings_from(add_to, context)
        from reconpatch.estimation.estimators import load

        detector = load(add_to, device=device, threads=threads, weights=weights)
    else:
        from reconpatch.estimation.estimators import ESTIMATORS

        detector = ESTIMATORS[method](
            backbone=backbone,
            size=size,
            false_alarm_rate=false_alarm_rate,
            seed=seed,
            weights=weights,
            device=device,
            threads=threads,
        )
        if epochs is not None:
            if "epochs" not in detector.get_params():
                raise InputError(f"{method} has no epochs to train for; leave out --epochs.")
            detector.set_params(epochs=epochs)
    console = Console(highlight=False, soft_wrap=True)
    with warnings.catch_warnings(record=True, category=UserWarning) as caught:
        warnings.simplefilter("always", UserWarning)
        detector.add(images) if add_to else detector.fit(images)
    for warning in caught:
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"[bold]Note:[/] {escape(str(warning.message))}"
        )
    detector.save(output)
    console.print(
        f"{detector.method.name()} is fitted on {detector.fitted_images_} images; above a score of "
        f"{detector.threshold_:.4g} an image is called anomalous. "
        f"Next: reconpatch predict {escape(str(output))} FOLDER --output OUT"
    )


@app.command(rich_help_panel=PANEL)
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

    from reconpatch.estimation.folders import check_free, images_in
    from reconpatch.estimation.model_folder import read_record

    read_record(model)
    check_free(output)
    paths = images_in(images) if images.is_dir() else [images]

    from reconpatch.estimation.estimators import load
    from reconpatch.estimation.predictions import print_unreadable, write_predictions

    detector = load(model, device=device, threads=threads, weights=weights)
    found = write_predictions(detector, paths, output)
    print_unreadable(found)
    if as_json:
        print(json.dumps(asdict(found), indent=2))
    else:
        anomalous = sum(row.anomalous for row in found.images)
        page = (output / "index.html").resolve().as_uri()
        print(
            f"{anomalous} of {len(found.images)} images are anomalous "
            f"({found.images_a_second:.3g} images a second). Look at them: {page}"
        )
    if found.unreadable:
        raise typer.Exit(1)


@app.command(rich_help_panel=PANEL)
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
    from reconpatch.estimation.model_folder import read_record

    read_record(model)

    from reconpatch.estimation.estimators import load
    from reconpatch.estimation.labelled import evaluate_folder, print_metrics

    detector = load(model, device=device, threads=threads, weights=weights)
    found = evaluate_folder(detector, folder, output)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        print_metrics(found)


@app.command(rich_help_panel=PANEL)
def serve(
    model: Model,
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8765,
    limit: Annotated[int, typer.Option(help="The largest image file, in MiB.", min=1)] = 32,
    weights: Weights = Path("weights"),
    device: Device = "auto",
    threads: Threads = 2,
) -> None:
    """Show a page on this machine that scores images dropped on it; Ctrl-C ends it."""
    from reconpatch.estimation.model_folder import read_record

    read_record(model)

    from reconpatch.estimation.estimators import load
    from reconpatch.estimation.server import Server

    detector = load(model, device=device, threads=threads, weights=weights)
    with Server(detector, port, limit << 20) as server:
        print(f"Open {server.address} in a browser; Ctrl-C ends this.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


@app.command(rich_help_panel=PANEL)
def export(
    model: Model,
    output: Annotated[Path, typer.Option(help="The ONNX file to write.")],
    check: Annotated[
        Path | None,
        typer.Option(help="A folder of images: run up to 50 by onnxruntime, too, and compare."),
    ] = None,
    weights: Weights = Path("weights"),
    threads: Threads = 2,
) -> None:
    """Write a fitted ReConPatch or PatchCore as one ONNX graph, from pixels to scores and map."""
    from reconpatch.estimation.folders import images_in
    from reconpatch.estimation.model_folder import read_record

    read_record(model)
    images = images_in(check)[:50] if check else []

    from reconpatch.estimation.estimators import load
    from reconpatch.estimation.onnx_export import check as compare
    from reconpatch.estimation.onnx_export import export as write

    detector = load(model, device="cpu", threads=threads, weights=weights)
    write(detector, output)
    size = detector.recipe_.features.size
    print(f"{output} takes uint8 RGB images (N, 3, {size}, {size}), resized as its recipe says.")
    if images:
        found = compare(detector, output, images)
        print(
            f"On {found.images} images onnxruntime differs from the library by at most "
            f"{found.difference:.1e} of the largest value; an image takes {found.onnx_ms:.0f} ms, "
            f"in torch {found.torch_ms:.0f} ms."
        )


def _takes_its_settings_from(model: Path, context: typer.Context) -> None:
    """Refuse settings beside a fitted model, which has them all."""
    given = [
        name
        for name in ("method", "epochs", "backbone", "size", "false_alarm_rate", "seed")
        if str(context.get_parameter_source(name)).endswith("COMMANDLINE")
    ]
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise InputError(
            f"With --add-to the settings are those of {model}. Leave out {options}, or fit anew "
            "without --add-to."
        )
