"""Check data sets and weights: whole, partial or absent."""

from importlib.util import find_spec
from pathlib import Path

from huggingface_hub import try_to_load_from_cache
from timm import get_pretrained_cfg

from reconpatch.datasets.mvtec_layout import find_categories
from reconpatch.datasets.source import Source
from reconpatch.features.presets import timm_name
from reconpatch.features.pretrained import weights_here
from reconpatch.fetching.catalogue import Dataset
from reconpatch.fetching.inventory import find_problems, is_absent
from reconpatch.setup.doctor.checks import Check, State
from reconpatch.suites.runs import backbones
from reconpatch.suites.suite import Suite, SuiteDataset
from reconpatch.utils.errors import InputError

PUT = "Put the category folders there, or set data_root to the folder that holds them."


def check_data_and_weights(
    suite: Suite | None, catalogue: dict[str, Dataset], data_root: Path, weights_folder: Path
) -> list[Check]:
    """Return the checks of data sets and weights; every image of a known data set is read.

    Without a suite every data set of the catalogue that is here is checked, and no weights.
    """
    if suite is None:
        return [_extra(dataset, data_root / dataset.name) for dataset in catalogue.values()]
    command = f"make data SUITE={suite.name}"
    if data_root != Path("data"):
        command += f" DATA={data_root}"
    checks = []
    for taken in suite.datasets:
        name, root = taken.source.dataset, taken.source.root
        known = catalogue[name] if name in suite.roots(catalogue) else None
        try:
            if known and root:
                checks.append(_needed(known, root, command, taken))
            else:
                checks.append(_own(taken))
        except InputError as error:
            title = known.title if known else name
            checks.append(Check(title, f"not in {root}", "absent", (str(error),), PUT))
    for name, root in suite.extra_datasets.items():
        checks.append(_needed(catalogue[name], root, command))
    try:
        return [*checks, _weights(backbones(suite), weights_folder, command)]
    except InputError:
        # Without categories there are no runs; the data set's check reports that.
        return checks


def _needed(dataset: Dataset, root: Path, command: str, taken: SuiteDataset | None = None) -> Check:
    """Check a data set of the catalogue: the categories that are taken of it, or all."""
    if not is_absent(root):
        categories = _categories(taken) if taken else dataset.categories
        return _present(dataset, root, command, categories)
    archive = root.parent / dataset.archive
    if dataset.must_be_accepted and not archive.is_file():
        command += f" ACCEPT={dataset.name} (this accepts its licence: {dataset.licence})"
    return Check(
        dataset.title,
        f"nothing in {root}" + f", but {archive} to unpack" * archive.is_file(),
        "absent",
        (f"{root} is missing or empty.",),
        f"{command}; or put its folders there, or {archive.name} beside it ({dataset.page}).",
    )


def _extra(dataset: Dataset, root: Path) -> Check:
    if is_absent(root):
        return Check(dataset.title, f"nothing in {root}; not needed", "-")
    return _present(dataset, root, "fetch it again", dataset.categories)


def _present(dataset: Dataset, root: Path, command: str, categories: tuple[str, ...]) -> Check:
    problems = tuple(find_problems(dataset, root, categories))
    here = sum((root / name).is_dir() for name in dataset.categories)
    return Check(
        dataset.title,
        f"{here} of {len(dataset.categories)} categories in {root}",
        "partial" if problems else "whole",
        problems,
        f"replace these files by the published ones ({dataset.page}), or move {root} away and "
        f"{command}.",
    )


def _categories(taken: SuiteDataset) -> tuple[str, ...]:
    if taken.categories != "found":
        return taken.categories
    assert taken.source.root
    return tuple(find_categories(taken.source.root))


def _own(taken: SuiteDataset) -> Check:
    """Check a data set that is not in the catalogue."""
    source = taken.source
    if not taken.here:
        return Check(source.dataset, f"nothing in {source.root}; not needed", "-")
    if source.layout == "demo":
        return Check(source.dataset, "drawn by the workflow")
    if source.layout == "elpv":
        return _elpv(source)
    names = _categories(taken)
    assert source.root
    missing = [f"{source.root / n} is missing." for n in names if not (source.root / n).is_dir()]
    detail = f"{len(names) - len(missing)} of {len(names)} categories in {source.root}"
    state: State = "partial" if missing else "here"
    return Check(source.dataset, detail, state, tuple(missing), PUT)


def _elpv(source: Source) -> Check:
    if find_spec("elpv_dataset"):
        return Check(source.dataset, "in the package elpv-dataset", "here")
    problem = "The package elpv-dataset, which holds the images, is not installed."
    remedy = "pip install elpv-dataset"
    return Check(source.dataset, "no package elpv-dataset", "absent", (problem,), remedy)


def _weights(names: list[str], folder: Path, command: str) -> Check:
    """Check the weights of all backbones together."""
    places, problems = [], []
    for name in names:
        try:
            hub = get_pretrained_cfg(timm_name(name)).hf_hub_id
            if here := weights_here(name, folder):
                places.append(f"{name} ({here.source})")
            elif isinstance(try_to_load_from_cache(hub, "model.safetensors"), str):
                places.append(f"{name} (the Hugging Face hub's cache)")
            else:
                problems.append(f"The weights of {name} are missing.")
        except InputError as error:
            problems.append(str(error))
    return Check(
        "weights",
        "\n".join(places) or f"none of {len(names)} here",
        "partial" if places and problems else "absent" if problems else "here",
        tuple(problems),
        f"{command}, or put NAME.pth or NAME.safetensors into {folder}; without a network: "
        "reconpatch bundle on a machine that has one.",
    )
