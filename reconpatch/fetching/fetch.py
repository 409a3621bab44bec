"""Put a data set in its place: check what is there, or unpack a local archive, or download it."""

import shutil
import sys
from pathlib import Path

from reconpatch.fetching.archive import unpack
from reconpatch.fetching.catalogue import Dataset, check_licence
from reconpatch.fetching.download import download, locked
from reconpatch.fetching.inventory import find_problems, is_absent
from reconpatch.fetching.transfer import RetryPolicy
from reconpatch.fetching.visa import bring_to_mvtec_layout
from reconpatch.utils.errors import InputError
from reconpatch.utils.files import hash_of, write_json

STAMP = "fetched.json"
"""The file in a data set's folder that says where it came from."""
WORKPLACE = ".fetching"
"""The folder beside a data set's for downloads and what is being unpacked."""


def fetch(
    dataset: Dataset, root: Path, *, accepted: bool, policy: RetryPolicy | None = None
) -> None:
    """Make sure that the whole data set is in ``root``.

    Files that are in ``root`` are only checked. If there are none, an archive of the published name
    beside ``root`` is unpacked; if there is no such archive, it is downloaded. The folder appears
    whole or not at all, with a ``fetched.json`` that says where the data came from. Only a download
    needs the licence ``accepted``.

    Raises:
        InputError: the licence is not accepted, no mirror delivered the archive, the archive is
            damaged or malicious, or the data set in ``root`` is not complete.
    """
    root = root.absolute()
    if is_absent(root):
        workplace = root.parent / WORKPLACE
        workplace.mkdir(parents=True, exist_ok=True)
        with locked(workplace / root.name):
            # Another process may have put it there meanwhile.
            if is_absent(root):
                _bring(dataset, root, accepted, policy)
                return
    _check(dataset, root, root)


def _bring(dataset: Dataset, root: Path, accepted: bool, policy: RetryPolicy | None) -> None:
    archive = root.parent / dataset.archive
    if archive.is_file():
        print(f"{dataset.title}: unpacking {archive}.", file=sys.stderr)
        _put_in_place(dataset, archive, root, archive.name, hash_of(archive))
        return
    check_licence(dataset, accepted)
    print(f"{dataset.title}: {dataset.licence}. {dataset.page}", file=sys.stderr)
    download_to = root.parent / WORKPLACE / dataset.archive
    try:
        download(dataset.mirrors, dataset.sha256, download_to, title=dataset.title, policy=policy)
    except InputError as error:
        raise InputError(
            f"{error}\nSave it as {archive}, or put the unpacked folders into {root}. "
            f"You can download it from {dataset.page}"
        ) from None
    _put_in_place(dataset, download_to, root, "download", dataset.sha256)
    download_to.unlink()


def _put_in_place(dataset: Dataset, archive: Path, root: Path, origin: str, sha256: str) -> None:
    aside = root.parent / WORKPLACE / f"{root.name}.unpacking"
    # A killed process may have left it.
    shutil.rmtree(aside, ignore_errors=True)
    unpack(archive, aside, size=int(dataset.unpacked_gib * 2**30), entries=dataset.entries)
    places = (aside, *aside.glob("*/"), *aside.glob("*/*/"))
    holding_all = (p for p in places if all((p / name).is_dir() for name in dataset.categories))
    top = next(holding_all, None)
    if top is None:
        raise InputError(
            f"{archive} does not hold {dataset.title}: no folder in it has all of "
            f"{', '.join(dataset.categories)}."
        )
    if dataset.layout == "visa":
        bring_to_mvtec_layout(top)
    _check(dataset, top, root)
    stamp = {
        "dataset": dataset.title,
        "origin": origin,
        "archive_sha256": sha256,
        "licence": dataset.licence,
        "page": dataset.page,
    }
    write_json(top / STAMP, stamp)
    top.rename(root)
    shutil.rmtree(aside, ignore_errors=True)


def _check(dataset: Dataset, folder: Path, root: Path) -> None:
    """Raise an error that lists the problems in ``folder`` by their paths in ``root``."""
    if problems := find_problems(dataset, folder):
        lines = "".join(f"- {line}\n".replace(str(folder), str(root)) for line in problems)
        remedy = (
            f"Repair these files, or move {root} away and the next run fetches the data set anew."
            if folder == root
            else f"The archive is not the published one; download it again from {dataset.page}"
        )
        raise InputError(f"{dataset.title} in {root} is not as published:\n{lines}{remedy}")
