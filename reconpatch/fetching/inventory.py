"""Compare a data set on disk with what was published, file by file."""

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches
from pathlib import Path

from tqdm import tqdm

from reconpatch.datasets.images import list_images, opened
from reconpatch.fetching.catalogue import Dataset, Folder
from reconpatch.utils.errors import InputError


def is_absent(root: Path) -> bool:
    """Return whether ``root`` is missing or empty."""
    return not root.is_dir() or not any(root.iterdir())


def find_problems(
    dataset: Dataset, root: Path, categories: Collection[str] | None = None
) -> list[str]:
    """Return a line for each missing, surplus or damaged file of a data set in ``root``.

    Every image of the ``categories``, None for all, is read. Where the published file names are not
    known, only the number of files in each folder is compared.
    """
    wanted = dataset.categories if categories is None else categories
    problems = [line for name in wanted for line in misfits(dataset, root, name)]
    images = [
        image
        for folder in dataset.folders
        if folder.category in wanted and (root / folder.category / folder.folder).is_dir()
        for image in list_images(root / folder.category / folder.folder)
    ]
    with ThreadPoolExecutor() as pool:
        title = f"reading {dataset.title}"
        looks = tqdm(pool.map(_look, images), title, len(images), leave=False, unit=" images")
        return problems + [line for line in looks if line]


def misfits(dataset: Dataset, root: Path, category: str) -> Iterator[str]:
    """Yield a line for each file of a category whose name or number differs from the published.

    A category that the data set does not have is the user's own, and yields nothing.
    """
    published = [folder for folder in dataset.folders if folder.category == category]
    if published and not (root / category).is_dir():
        yield f"{root / category} is missing"
        return
    for folder in published:
        place = root / category / folder.folder
        if not place.is_dir():
            yield f"{place} is missing; it should hold {folder.files} files"
        else:
            yield from _in_folder(place, folder)
    # A reader would take an unpublished folder of images for a kind of defect.
    for part in {folder.folder.rpartition("/")[0] for folder in published} - {""}:
        named = {f.folder for f in published}
        for place in sorted((root / category / part).glob("*/")):
            if f"{part}/{place.name}" not in named and not place.name.startswith("."):
                yield f"{place} does not belong to {category} of {dataset.title}; move it away"


def _in_folder(place: Path, folder: Folder) -> Iterator[str]:
    present = {path.name for path in list_images(place)}
    if not folder.names:
        if len(present) != folder.files:
            yield f"{place} holds {len(present)} images, not {folder.files}"
        return
    published = {folder.names.format(number) for number in range(folder.files)}
    surplus = present - published
    for missing in sorted(published - present):
        line = f"{place / missing} is missing"
        if similar := get_close_matches(missing, sorted(surplus), n=1, cutoff=0):
            surplus.remove(similar[0])
            line += f"; {similar[0]}, which does not belong there, may be it: rename it"
        yield line
    for name in sorted(surplus):
        yield f"{place / name} does not belong there; move it away"


def _look(path: Path) -> str | None:
    """What is wrong with an image, found by its checksums or by decoding it."""
    try:
        with opened(path) as image:
            # Only PNG has checksums throughout.
            if image.format == "PNG":
                image.verify()
            else:
                image.load()
    except InputError as error:
        return str(error)
    return None


def check_category(dataset: Dataset, root: Path, category: str) -> None:
    """Raise an error if a category differs from the published one.

    Raises:
        InputError: it differs; the message lists all differences and all damaged images.
    """
    if any(misfits(dataset, root, category)):
        lines = find_problems(dataset, root, [category])
        raise InputError(
            f"The category {category} of {dataset.title} in {root} is not as published:\n"
            + "".join(f"- {line}\n" for line in lines)
            + f"Replace these files ({dataset.page}). If this is not {dataset.title}'s {category} "
            "but a category of your own, give its folder another name."
        )
