"""The demo set's categories and how many images each has, apart from how they are drawn."""

from dataclasses import dataclass

from reconpatch.datasets.category import GOOD, Kind
from reconpatch.datasets.published import PublishedCategory

TRAIN, TEST_GOOD, TEST_PER_DEFECT = 40, 12, 6


@dataclass(frozen=True)
class DemoCategory:
    """A drawn category: object or texture, and the names of its defects."""

    kind: Kind
    defects: tuple[str, ...]

    @property
    def folders(self) -> dict[str, int]:
        """How many images lie in each of its folders."""
        return {
            f"train/{GOOD}": TRAIN,
            f"test/{GOOD}": TEST_GOOD,
            **{f"test/{defect}": TEST_PER_DEFECT for defect in self.defects},
        }

    @property
    def published(self) -> PublishedCategory:
        """The same facts as of a published data set's category."""
        return PublishedCategory(self.kind, TRAIN, TEST_GOOD, TEST_PER_DEFECT * len(self.defects))


CATEGORIES = {
    "washer": DemoCategory("object", ("chip", "scratch", "stain")),
    "weave": DemoCategory("texture", ("blob", "cut", "misweave")),
}
