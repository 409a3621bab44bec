"""Check that a category is whole, before any work starts on it."""

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from reconpatch.datasets.category import Category, Kind, Sample
from reconpatch.datasets.images import UNREADABLE, check_depth, damaged, unreachable
from reconpatch.utils.errors import InputError


def inspect_category(
    root: Path,
    *,
    dataset: str,
    name: str,
    kind: Kind | None,
    train: Sequence[Sample],
    test: Sequence[Sample],
) -> Category:
    """Check that a category is complete and its files readable, and return it with its hash.

    Every file is read once, but no image is decoded: damage that no checksum of the file format
    covers shows only in ``open_image``.

    Args:
        root: The folder that holds all images and masks.
        dataset: The data set's name.
        name: The category's name.
        kind: Object or texture, or None where the data set does not say.
        train: The training images.
        test: The test images.

    Returns:
        The category. Its hash covers the split, label, path below ``root`` and bytes of every
        image and mask, in the order given.

    Raises:
        InputError: There are problems. The message lists all of them.
    """
    problems = list(_gaps(train, test))
    files: dict[Path, _File] = {}
    for path in _paths((*train, *test)):
        try:
            files[path] = _examine(path)
        except InputError as problem:
            problems.append(str(problem))
    problems += _size_mismatches(test, files)
    if problems:
        raise InputError(
            f"The category {name} of {dataset} in {root} cannot be used:\n"
            + "\n".join(f"- {problem}" for problem in problems)
        )

    manifest = "".join(
        "\t".join(
            [split, sample.defect, sample.image.relative_to(root).as_posix()]
            + [files[path].sha256 for path in _paths([sample])]
        )
        + "\n"
        for split, samples in (("train", train), ("test", test))
        for sample in samples
    )
    return Category(
        dataset=dataset,
        name=name,
        kind=kind,
        train=tuple(train),
        test=tuple(test),
        sha256=hashlib.sha256(manifest.encode()).hexdigest(),
    )


@dataclass(frozen=True)
class _File:
    """An image file's hash, and its size as (width, height) in pixels."""

    sha256: str
    size: tuple[int, int]


def _paths(samples: Iterable[Sample]) -> Iterator[Path]:
    """Yield the images and masks of the samples, except masks that are missing."""
    for sample in samples:
        yield sample.image
        if sample.mask is not None and sample.mask.exists():
            yield sample.mask


def _examine(path: Path) -> _File:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreachable(path, error) from error
    try:
        with Image.open(io.BytesIO(content)) as image:
            mode, size = image.mode, image.size
            image.verify()
    except UNREADABLE as error:
        raise damaged(path) from error
    check_depth(path, mode)
    return _File(hashlib.sha256(content).hexdigest(), size)


def _gaps(train: Sequence[Sample], test: Sequence[Sample]) -> Iterator[str]:
    if not train:
        yield "it has no training image; add normal ones (in the MVTec AD layout: to train/good)"
    if all(sample.anomalous for sample in test):
        yield (
            "it has no normal test image, so that AUROC is undefined; "
            "add some (in the MVTec AD layout: to test/good)"
        )
    if not any(sample.anomalous for sample in test):
        yield (
            "it has no anomalous test image, so that AUROC is undefined; "
            "add some (in the MVTec AD layout: to test/<defect>)"
        )
    for sample in test:
        if sample.mask is not None and not sample.mask.exists():
            yield (
                f"{sample.image} has no mask: {sample.mask} is missing; add it, "
                "or remove all masks to score whole images only"
            )


def _size_mismatches(test: Sequence[Sample], files: dict[Path, _File]) -> Iterator[str]:
    for sample in test:
        if sample.image in files and sample.mask in files:
            image, mask = files[sample.image].size, files[sample.mask].size
            if image != mask:
                yield (
                    f"{sample.mask} has {mask[0]} x {mask[1]} pixels, but its image "
                    f"{sample.image} has {image[0]} x {image[1]}; give both the same size"
                )
