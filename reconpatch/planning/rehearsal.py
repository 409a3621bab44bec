"""A suite's rehearsal: its own DAG, recipes and backbones, on a few drawn images, in one epoch.

It has a folder of its own with settings, images, weights and results, so that nothing of it can be
taken for a result: backbones have random weights (packages' where a package brings them), and the
report's title says what it is. One category stands for all of a data set, so that every distinct
shape of recipe is there once; its images are drawn at the real pixel size.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import timm
import torch
import yaml
from PIL import Image
from rich.console import Console
from safetensors.torch import save_file
from tqdm import tqdm

from reconpatch.datasets.category import GOOD
from reconpatch.datasets.demo.categories import CATEGORIES
from reconpatch.datasets.demo.pictures import render
from reconpatch.features.presets import timm_name
from reconpatch.features.pretrained import weights_here
from reconpatch.fetching.catalogue import known_datasets
from reconpatch.methods.by_epochs import EpochRecipe
from reconpatch.methods.registry import METHODS
from reconpatch.planning.rehearsed import measured_shapes, print_shapes
from reconpatch.planning.workload import count_work
from reconpatch.settings.base import Settings
from reconpatch.settings.yaml_files import read_yaml
from reconpatch.suites.experiments import Changes, changed
from reconpatch.suites.runs import backbones
from reconpatch.suites.suite import Suite, load_suite
from reconpatch.utils.errors import InputError
from reconpatch.utils.files import atomic_write

PIXELS = (1024, 1024)
"""Width and height of images whose size is not published."""

MOTIF = "washer"
"""What is drawn."""

IMAGES = {f"train/{GOOD}": 3, f"test/{GOOD}": 2, "test/defective": 2}
"""How many are drawn a category: three, so that each can be scored without itself."""

SHORT = {"epochs": 1, "pool": 1}
"""What is shortened wherever it stands: none of it changes a shape."""


class Drawn(NamedTuple):
    """A drawn category: below which folder, its name, and its images' width and height."""

    dataset: str
    name: str
    pixels: tuple[int, int]


def rehearse(suite: str, config: Path, folder: Path, device: str, cores: str) -> bool:
    """Run a suite's rehearsal by snakemake, to the report, and print what each shape took.

    What an earlier, broken one finished stays.

    Returns:
        Whether all of it was done.

    Raises:
        InputError: there is no such suite, or no Snakefile in the current folder.
    """
    snakefile = Path("Snakefile").resolve()
    if not snakefile.is_file():
        raise InputError(
            f"There is no {snakefile}: a rehearsal walks the suite's own workflow. Go to the "
            "folder that holds Snakefile, workflow/ and config/, and try again."
        )
    start = time.monotonic()
    rehearsed = write_rehearsal(suite, config, folder)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--snakefile", snakefile),
            *("--workflow-profile", snakefile.parent / "profiles" / "default"),
            *("--cores", cores, "--keep-going", "--quiet", "rules", "host", "--config"),
            *(f"suite={rehearsed.name}", f"device={device}", "threads=1"),
        ],
        cwd=folder,
    )
    console = Console(highlight=False)
    if done.returncode:
        console.print(
            "The rehearsal did not come to its end; the first error above says why. The same "
            "command goes on where it stopped."
        )
        return False
    workload = count_work(rehearsed, folder / "results")
    shapes = measured_shapes(workload, folder / "results")
    print_shapes(shapes, console)
    minutes = (time.monotonic() - start) / 60
    console.print(
        f"\nRehearsed {len({run.recipe.key for run in workload.runs})} recipes of suite {suite}, "
        f"{len(shapes)} distinct shapes, in {minutes:.1f} minutes, to "
        f"{folder / 'reports' / rehearsed.name / 'report.html'}.\n"
        f"Weights were random and images drawn: nothing in {folder} is a result."
    )
    return True


def write_rehearsal(suite: str, config: Path, folder: Path) -> Suite:
    """Write settings, drawn images and random weights for a suite's rehearsal, and return it.

    ``folder`` gets ``config/``, ``data/`` and ``weights/``. Images and weights that are there stay.

    Raises:
        InputError: there is no such suite, or it is none.
    """
    rehearsed, drawn = write_settings(suite, config, folder)
    for category in drawn:
        _draw(folder / "data", category)
    (folder / "weights").mkdir(exist_ok=True)
    for name in tqdm(backbones(rehearsed), "random weights", unit="backbone"):
        if not weights_here(name, folder / "weights"):
            torch.manual_seed(0)
            tensors = timm.create_model(timm_name(name)).state_dict()
            with atomic_write(folder / "weights" / f"{name}.safetensors") as aside:
                save_file(tensors, aside)
    return rehearsed


def write_settings(suite: str, config: Path, folder: Path) -> tuple[Suite, tuple[Drawn, ...]]:
    """Write ``config/`` to ``folder``; return the suite ``NAME-rehearsal`` and what to draw for it.

    Raises:
        InputError: there is no such suite, or it is none.
    """
    path = config / "suites" / f"{suite}.yaml"
    load_suite(path, Path("data"), config)  # Its errors name the file that is meant.
    content = read_yaml(path)
    shutil.copytree(config, folder / "config", dirs_exist_ok=True)
    for experiments in (folder / "config").glob("*.yaml"):
        experiments.write_text(yaml.safe_dump(_shortened(read_yaml(experiments))))
    datasets, drawn = zip(*map(_dataset, content["datasets"]), strict=True)
    content |= {
        "title": f"REHEARSAL on drawn images with random weights, not a result: {content['title']}",
        "grids": _grids(content, {each.name for each in drawn}),
        "datasets": list(datasets),
        "seeds": content["seeds"][:1],
        "recipe": changed(_trainings(), content.get("recipe", {})),
        "refinement": changed(SHORT, content.get("refinement", {})),
    }
    content.pop("extra_datasets", None)
    rehearsed = folder / "config" / "suites" / f"{suite}-rehearsal.yaml"
    rehearsed.write_text(yaml.safe_dump(_shortened(content), sort_keys=False))
    # As snakemake will name its data sets, from within the folder.
    return load_suite(rehearsed, Path("data"), folder / "config"), drawn


def _shortened(content: Any) -> Any:
    """The same with less of what takes time alone, wherever in it that stands."""
    if isinstance(content, dict):
        return {
            name: min(value, SHORT[name])
            if name in SHORT and isinstance(value, int)
            else _shortened(value)
            for name, value in content.items()
        }
    return [_shortened(each) for each in content] if isinstance(content, list) else content


def _trainings() -> Changes:
    """What shortens the training of each method whose settings have epochs, by its name."""
    short = {"epochs": SHORT["epochs"]}
    in_groups = {
        name: {group: short}
        for name, method in METHODS.items()
        for group, field in method.Recipe.model_fields.items()
        if isinstance(field.annotation, type)
        and issubclass(field.annotation, Settings)
        and "epochs" in field.annotation.model_fields
    }
    own = {name: short for name, m in METHODS.items() if issubclass(m.Recipe, EpochRecipe)}
    return in_groups | own


def _dataset(given: dict[str, Any]) -> tuple[dict[str, Any], Drawn]:
    """A suite's data set as the rehearsal has it, and what is drawn for it.

    Where the data set tells objects from textures it is an object. Of the sizes of images the
    largest is taken, before that one that is not square.
    """
    name, layout = given["source"]["dataset"], given["source"]["layout"]
    known = known_datasets().get(name)
    names = given["categories"]
    if names == "found":
        names = known.categories if known else ["drawn"]
    pixels = {each: known.pixels.get(each, PIXELS) if known else PIXELS for each in names}
    category = max(names, key=lambda each: (len(set(pixels[each])), pixels[each]))
    size = pixels[category]
    has_kinds = layout == "demo" or (known is not None and known.textures is not None)
    if has_kinds:
        category = MOTIF
    drawn = Drawn(f"drawn-{name}", category, size)
    source = {
        "layout": "demo" if has_kinds else "mvtec",
        "dataset": drawn.dataset,
        "root": f"{{data_root}}/{drawn.dataset}",
    }
    stands_for = {key: given[key] for key in ("stands_for",) if key in given}
    return {"source": source, "categories": [category], **stands_for}, drawn


def _grids(content: dict[str, Any], drawn: set[str]) -> dict[str, list[str]]:
    """The suite's grids, less the categories that are not drawn."""
    named = [d["categories"] for d in content["datasets"] if d["categories"] != "found"]
    absent = {name for names in named for name in names} - drawn
    kept = {
        table: [name for name in names if name not in absent]
        for table, names in content.get("grids", {}).items()
    }
    return {table: names for table, names in kept.items() if names}


def _draw(root: Path, category: Drawn) -> None:
    place = root / category.dataset / category.name
    if place.is_dir():
        return
    aside = place.with_name(f".{category.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    for folder, count in IMAGES.items():
        split, defect = folder.split("/")
        (aside / folder).mkdir(parents=True)
        for index in range(count):
            kind = defect if defect == GOOD else CATEGORIES[MOTIF].defects[0]
            picture = render(MOTIF, split, kind, index, seed=0)
            image = Image.fromarray(picture.defective).resize(category.pixels)
            image.save(aside / folder / f"{index:03}.png", compress_level=1)
            if defect != GOOD:
                masks = aside / "ground_truth" / defect
                masks.mkdir(parents=True, exist_ok=True)
                mask = Image.fromarray(picture.mask).resize(category.pixels)
                mask.save(masks / f"{index:03}_mask.png")
    aside.replace(place)
