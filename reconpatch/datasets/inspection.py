"""Check that a category is whole, before any work starts on it."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from reconpatch.datasets.category import Category, Sample
from reconpatch.datasets.images import opened, upright_size
from reconpatch.utils.errors import InputError
from reconpatch.utils.files import hash_of

Size = tuple[int, int]
"""Width and height of an image, in pixels."""


def inspect_category(
    root: Path, *, dataset: str, name: str, train: Sequence[Sample], test: Sequence[Sample]
) -> Category:
    """Check that a category is complete and its files readable, and return it with its hash.

    No image is decoded: a defect of the pixel data that no checksum of the file format covers shows
    only in ``open_image``. The hash covers the split, label, path below ``root`` and bytes of every
    image and mask, in the order given.

    Raises:
        InputError: There are problems. The message lists all of them.
    """
    problems = list(_gaps(train, test))
    hashes: dict[Path, str] = {}
    sizes: dict[Path, Size] = {}
    for path in _paths((*train, *test)):
        try:
            with opened(path) as image:
                sizes[path] = upright_size(image)
                image.verify()
            hashes[path] = hash_of(path)
        except InputError as problem:
            problems.append(str(problem))
    problems += _size_mismatches(test, sizes)
    if problems:
        raise InputError(
            f"The category {name} of {dataset} in {root} cannot be used:\n"
            + "\n".join(f"- {problem}" for problem in problems)
        )

    manifest = "".join(
        "\t".join(
            [split, sample.defect, sample.image.relative_to(root).as_posix()]
            + [hashes[path] for path in _paths([sample])]
        )
        + "\n"
        for split, samples in (("train", train), ("test", test))
        for sample in samples
    )
    return Category(
        dataset=dataset,
        name=name,
        kind=None,
        train=tuple(train),
        test=tuple(test),
        sha256=hashlib.sha256(manifest.encode()).hexdigest(),
        hashes={str(path): sha256 for path, sha256 in hashes.items()},
    )


def _paths(samples: Iterable[Sample]) -> Iterator[Path]:
    """Yield the images and masks of the samples, except masks that are missing."""
    for sample in samples:
        yield sample.image
        if sample.mask is not None and sample.mask.exists():
            yield sample.mask


def _gaps(train: Sequence[Sample], test: Sequence[Sample]) -> Iterator[str]:
    if not train:
        yield "it has no training image; add normal ones (in the MVTec AD layout: to train/good)"
    labels = {sample.anomalous for sample in test}
    for anomalous, kind, part in ((False, "normal", "good"), (True, "anomalous", "<defect>")):
        if anomalous not in labels:
            yield (
                f"it has no {kind} test image, so that AUROC is undefined; "
                f"add some (in the MVTec AD layout: to test/{part})"
            )
    for sample in test:
        if sample.mask is not None and not sample.mask.exists():
            yield (
                f"{sample.image} has no mask: {sample.mask} is missing; add it, "
                "or remove all masks to score whole images only"
            )


def _size_mismatches(test: Sequence[Sample], sizes: dict[Path, Size]) -> Iterator[str]:
    for sample in test:
        if sample.image in sizes and sample.mask in sizes:
            image, mask = sizes[sample.image], sizes[sample.mask]
            if image != mask:
                yield (
                    f"{sample.mask} has {mask[0]} x {mask[1]} pixels, but its image "
                    f"{sample.image} has {image[0]} x {image[1]}; give both the same size"
                )
