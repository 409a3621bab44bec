"""What is odd in a category and may be meant: told, not refused."""

from collections.abc import Iterator

import numpy as np

from reconpatch.datasets.category import Category, Sample
from reconpatch.datasets.images import list_others, open_image


def oddities(category: Category) -> list[str]:
    """Return sentences on files that are left out, images in both splits, and masks.

    Raises:
        InputError: a mask cannot be decoded.
    """
    return [*_left_out(category), *_in_both_splits(category), *_odd_masks(category)]


def _left_out(category: Category) -> Iterator[str]:
    for folder in sorted({sample.image.parent for sample in (*category.train, *category.test)}):
        if others := list_others(folder):
            yield (
                f"{folder} has files that are not read ({len(others)}, such as {others[0].name}); "
                "save them as PNG if they belong to the category"
            )


def _in_both_splits(category: Category) -> Iterator[str]:
    def hash_of(sample: Sample) -> str | None:
        return category.hashes.get(str(sample.image))

    trained = {hash_of(sample): sample.image for sample in category.train}
    both = [s for s in category.test if hash_of(s) is not None and hash_of(s) in trained]
    if both:
        twin = trained[hash_of(both[0])]
        yield (
            f"test images are training images too ({len(both)}, such as {both[0].image}, which is "
            f"{twin}); a test should see new images"
        )


def _odd_masks(category: Category) -> Iterator[str]:
    empty, full = [], []
    for sample in category.test:
        if sample.mask:
            defective = np.asarray(open_image(sample.mask, "L")) > 0
            if not defective.any():
                empty.append(sample.mask)
            elif defective.all():
                full.append(sample.mask)
    if empty:
        yield (
            f"masks of anomalous images mark nothing ({len(empty)}, such as {empty[0]}); pixel "
            "metrics take these images as normal"
        )
    if full:
        yield (
            f"masks mark every pixel as defective ({len(full)}, such as {full[0]}); normal pixels "
            "should be 0, which in a palette image means black"
        )
