"""Whether a data set lies there as published, file by file."""

from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from reconpatch.datasets.images import UNREADABLE, damaged, list_images
from reconpatch.fetching.catalogue import Dataset, Folder
from reconpatch.utils.errors import InputError


def is_absent(root: Path) -> bool:
    """Return whether nothing lies in ``root``: it is missing or empty."""
    return not root.is_dir() or not any(root.iterdir())


def find_problems(
    dataset: Dataset, root: Path, categories: Collection[str] | None = None
) -> list[str]:
    """Return what a data set in ``root`` lacks, has too much, or has damaged; a line a file.

    Every image is read. Where the published names of the files are not known, a folder's count is
    compared.

    Args:
        dataset: what it should be.
        root: the folder that holds its categories.
        categories: those to look at; None for all.
    """
    wanted = dataset.categories if categories is None else categories
    problems = [line for name in wanted for line in misfits(dataset, root, name)]
    images = [
        image
        for folder in dataset.folders
        if folder.category in wanted and (root / folder.category / folder.folder).is_dir()
        for image in list_images(root / folder.category / folder.folder)
    ]
    return problems + [str(error) for error in unreadable(images, dataset.title)]


def misfits(dataset: Dataset, root: Path, category: str) -> Iterator[str]:
    """Yield what a category's files have amiss by their names and counts alone.

    A category that the data set does not have is someone's own, and nothing is amiss with it.
    """
    published = [folder for folder in dataset.folders if folder.category == category]
    if published and not (root / category).is_dir():
        yield f"{root / category} is missing"
        return
    for folder in published:
        place = root / category / folder.folder
        if not place.is_dir():
            yield f"{place} is missing, with {folder.files} files"
        else:
            yield from _in_folder(place, folder)
    # A folder of images that was not published; a reader would take it for a kind of defect.
    for part in {folder.folder.rpartition("/")[0] for folder in published} - {""}:
        named = {f.folder for f in published}
        for place in sorted((root / category / part).glob("*/")):
            if f"{part}/{place.name}" not in named and not place.name.startswith("."):
                yield f"{place} does not belong to {category} of {dataset.title}; move it away"


def _in_folder(place: Path, folder: Folder) -> Iterator[str]:
    found = [path.name for path in list_images(place)]
    if not folder.names:
        if len(found) != folder.files:
            yield f"{place} has {len(found)} images in place of {folder.files}"
        return
    names = [folder.names.format(number) for number in range(folder.files)]
    surplus = set(found) - set(names)
    for missing in sorted(set(names) - set(found)):
        line = f"{place / missing} is missing"
        if like := get_close_matches(missing, sorted(surplus), n=1, cutoff=0):
            surplus.remove(like[0])
            line += f"; {like[0]}, which does not belong there, may be it: rename it"
        yield line
    for name in sorted(surplus):
        yield f"{place / name} does not belong there; move it away"


def unreadable(images: Iterable[Path], title: str) -> list[InputError]:
    """Return an error for each image that is damaged: by its checksums, or else by decoding it."""
    images = list(images)
    with ThreadPoolExecutor() as pool:
        looks = tqdm(
            pool.map(_look, images), f"reading {title}", len(images), leave=False, unit=" images"
        )
        return [error for error in looks if error]


def _look(path: Path) -> InputError | None:
    try:
        with Image.open(path) as image:
            # Only PNG has checksums throughout.
            if image.format == "PNG":
                image.verify()
            else:
                image.load()
    except UNREADABLE:
        return damaged(path)
    return None


def check_category(dataset: Dataset, root: Path, category: str) -> None:
    """Make sure that a category has the files that were published, before work starts on it.

    Raises:
        InputError: it has not; the message names all that is amiss, damaged images too.
    """
    if any(misfits(dataset, root, category)):
        lines = find_problems(dataset, root, [category])
        raise InputError(
            f"the category {category} of {dataset.title} in {root} is not as published:\n"
            + "".join(f"- {line}\n" for line in lines)
            + f"Replace these files ({dataset.page}). If it is not {dataset.title}'s {category} "
            "but one of your own, give its folder another name."
        )
