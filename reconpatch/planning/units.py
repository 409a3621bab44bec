"""The units that a plan multiplies by: what one of each costs, in seconds."""

from dataclasses import dataclass
from typing import NamedTuple

from reconpatch.settings import ExtractionSettings, FeatureSettings, Recipe, RefinementSettings


class Line(NamedTuple):
    """Seconds a unit that grow with a size n: ``a + b n``."""

    a: float
    b: float

    def __call__(self, size: int) -> float:
        """Return the seconds at a size."""
        return self.a + self.b * size

    @classmethod
    def through(cls, small: tuple[int, float], large: tuple[int, float]) -> "Line":
        """Return the line through two points ``(size, seconds)``, rising from zero or above.

        Where noise makes it fall, or start below zero, it goes through the origin and ``large``.
        """
        slope = (large[1] - small[1]) / (large[0] - small[0])
        start = large[1] - slope * large[0]
        if slope <= 0 or start < 0:
            return cls(0.0, large[1] / large[0])
        return cls(start, slope)


@dataclass(frozen=True)
class RecipeCosts:
    """Seconds of the units of a recipe's runs.

    Attributes:
        step: a training step; zero for PatchCore.
        representation: bringing a patch to what detection works on, on the device.
        coreset: a centre, by the number of patches.
        scoring: a patch, by the size of the memory bank.
        map: an anomaly map.
        evaluation: a run's metrics and their replicates, by the number of test images with masks.
    """

    step: float
    representation: float
    coreset: Line
    scoring: Line
    map: float
    evaluation: Line


@dataclass(frozen=True)
class Costs:
    """Seconds of all units that a suite is made of.

    Attributes:
        light_start: the start of a job that needs no torch: the interpreter and its imports.
        start: the start of one that does, that of the device included.
        started_bytes: what such a process holds then (not seconds but bytes).
        reporting_start: the start of one that draws.
        umap_start: what UMAP's import and compilation add to it.
        embedding: a UMAP panel.
        drawing: a picture of the demo set.
        inspection: an image of each data set, by the data set's id.
        building: each feature setting's backbone.
        forward: an image through each feature setting's backbone, to patch features.
        images: an image of each data set from its file to patch features on disk.
        recipes: the units of each recipe's runs.
        refinements: of each refinement, by the image's side, a training step and a test image.
    """

    light_start: float
    start: float
    started_bytes: int
    reporting_start: float
    umap_start: float
    embedding: float
    drawing: float
    inspection: dict[str, float]
    building: dict[FeatureSettings, float]
    forward: dict[FeatureSettings, float]
    images: dict[tuple[str, ExtractionSettings], float]
    recipes: dict[Recipe, RecipeCosts]
    refinements: dict[tuple[RefinementSettings, int], tuple[float, float]]
