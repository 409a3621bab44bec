"""The demo set's categories: their kinds, defects and numbers of images."""

from dataclasses import dataclass

from reconpatch.datasets.category import GOOD, Kind
from reconpatch.datasets.published import PublishedCategory

TRAIN, TEST_GOOD, TEST_PER_DEFECT = 40, 12, 6


@dataclass(frozen=True)
class DemoCategory:
    """A drawn category: its kind, and the names of its defects."""

    kind: Kind
    defects: tuple[str, ...]

    @property
    def folders(self) -> dict[str, int]:
        """The number of images in each of its folders."""
        return {
            f"train/{GOOD}": TRAIN,
            f"test/{GOOD}": TEST_GOOD,
            **{f"test/{defect}": TEST_PER_DEFECT for defect in self.defects},
        }

    @property
    def published(self) -> PublishedCategory:
        """The same facts in the form that published data sets have."""
        return PublishedCategory(self.kind, TRAIN, TEST_GOOD, TEST_PER_DEFECT * len(self.defects))


CATEGORIES = {
    "washer": DemoCategory("object", ("chip", "scratch", "stain")),
    "weave": DemoCategory("texture", ("blob", "cut", "misweave")),
}
