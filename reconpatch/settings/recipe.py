"""A recipe: every choice that decides a run's numbers, validated and hashed.

Two tables that ask for the same recipe share one run, because a run's place is its recipe's key.
Which of the defaults the paper gives, and which it leaves open, stands in docs/ambiguities.md.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, SerializeAsAny, model_validator

from reconpatch.settings.base import Settings
from reconpatch.settings.detection import MapSettings
from reconpatch.settings.features import AugmentationSettings, ExtractionSettings, FeatureSettings
from reconpatch.settings.refinement import RefinementSettings


class Recipe(Settings):
    """One method with all its settings. These are common; a method's own recipe adds to them.

    Attributes:
        method: the method's name, in tables and in suites.
        features: from images to patch features.
        augmentation: what is done to the images first.
        maps: from patch scores to anomaly maps.
    """

    method: str
    features: FeatureSettings = FeatureSettings()
    augmentation: AugmentationSettings | None = None
    maps: MapSettings = MapSettings()

    @property
    def parents(self) -> tuple["AnyRecipe", ...]:
        """The recipes whose runs it goes on from: none."""
        return ()

    @property
    def learned(self) -> Settings | None:
        """The settings of a representation that is learned once for all recipes that have them."""
        return None

    @property
    def test_extraction(self) -> ExtractionSettings:
        """The patch features that are scored."""
        return ExtractionSettings(features=self.features, augmentation=self.augmentation)

    @property
    def train_extraction(self) -> ExtractionSettings:
        """The patch features that the method is fitted on."""
        if "train" in self.test_extraction.splits:
            return self.test_extraction
        return ExtractionSettings(features=self.features)


class Ensemble(Settings):
    """Several recipes whose scores are fused (Eq. 11)."""

    members: Annotated[tuple[SerializeAsAny[Recipe], ...], Field(min_length=2)]
    deviation: Literal["median", "mean", "none"] = "median"

    @property
    def method(self) -> str:
        """The method's name in tables: its members'."""
        return self.members[0].method

    @property
    def parents(self) -> tuple["AnyRecipe", ...]:
        """The recipes whose runs it goes on from: its members."""
        return self.members


class Refined(Settings):
    """A recipe or an ensemble whose anomaly maps a network refines (Appendix D)."""

    of: SerializeAsAny[Recipe] | Ensemble
    refinement: RefinementSettings

    @model_validator(mode="after")
    def _check(self) -> Self:
        members = self.of.members if isinstance(self.of, Ensemble) else (self.of,)
        if len({(m.features.resize, m.features.crop, m.augmentation) for m in members}) > 1:
            raise ValueError("the models whose common map is refined must see the same images")
        return self

    @property
    def method(self) -> str:
        """The method's name in tables."""
        return f"{self.of.method}, refined"

    @property
    def parents(self) -> tuple["AnyRecipe", ...]:
        """The recipe whose run it goes on from."""
        return (self.of,)


AnyRecipe = Recipe | Ensemble | Refined
"""What a run measures."""
