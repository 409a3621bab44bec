"""Fetch the data sets and weights that a suite needs."""

from collections.abc import Collection
from pathlib import Path

from rich.console import Console

from reconpatch.features.pretrained import find_weights
from reconpatch.fetching.catalogue import load_catalogue
from reconpatch.fetching.fetch import fetch
from reconpatch.suites.runs import backbones
from reconpatch.suites.suite import Suite
from reconpatch.utils.errors import InputError

WEIGHTS = "weights"


def fetch_suite(
    suite: Suite,
    config: Path,
    weights_folder: Path,
    only: Collection[str] | None,
    accepted: Collection[str],
) -> None:
    """Fetch the data sets and weights of a suite that are missing, and print where each is.

    ``only`` names the data sets to fetch (``weights`` counts as one), None fetches all;
    ``accepted`` names those whose licence the user has accepted.

    Raises:
        InputError: something is damaged or cannot be fetched, ``only`` names a data set that the
            suite does not need, or ``accepted`` one that is not known.
    """
    catalogue = load_catalogue(config)
    roots = suite.roots(catalogue) | suite.extra_datasets
    if unknown := sorted(set(only or ()) - set(roots) - {WEIGHTS}):
        needed = ", ".join([*roots, WEIGHTS])
        raise InputError(f"Suite {suite.name} does not need {unknown[0]}; it needs: {needed}.")
    if unknown := sorted(set(accepted) - set(catalogue)):
        raise InputError(
            f"There is no data set {unknown[0]} whose licence could be accepted; there are: "
            f"{', '.join(catalogue)}."
        )
    console = Console(highlight=False, soft_wrap=True)
    # Weights come first because they are smaller.
    if only is None or WEIGHTS in only:
        for name in backbones(suite):
            weights = find_weights(name, weights_folder)
            console.print(f"{name}: {weights.path} ({weights.source})")
    for name, root in roots.items():
        if only is None or name in only:
            fetch(catalogue[name], root, accepted=name in accepted)
            console.print(f"{catalogue[name].title} is whole in {root}.")
