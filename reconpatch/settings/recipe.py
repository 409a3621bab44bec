"""A recipe: every choice that decides a run's numbers, validated and hashed.

Two tables that ask for the same recipe share one run, because a run's place is its recipe's key.
Which of the defaults the paper gives, and which it leaves open, stands in docs/ambiguities.md.
"""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import field_validator

from reconpatch.settings.base import Settings
from reconpatch.settings.detection import MapSettings
from reconpatch.settings.features import AugmentationSettings, ExtractionSettings, FeatureSettings

if TYPE_CHECKING:
    from reconpatch.settings.composed import AnyRecipe


class Recipe(Settings):
    """One method with all its settings. These are common; a method's own recipe adds to them.

    Attributes:
        method: the method's name, in tables and in suites.
        features: from images to patch features.
        augmentation: what is done to the images first.
        maps: from patch scores to anomaly maps.
        reads: what the method is given: patch features, or the layers' maps before aggregation.
    """

    reads: ClassVar[Literal["patch features", "layer maps"]] = "patch features"

    method: str
    features: FeatureSettings = FeatureSettings()
    augmentation: AugmentationSettings | None = None
    maps: MapSettings = MapSettings()

    @field_validator("features", mode="before")
    @classmethod
    def _on_own_defaults(cls, features: object) -> object:
        """What is given of the features changes the method's own, such as PaDiM's layers."""
        own = cls.model_fields["features"].default.model_dump(exclude_unset=True)
        return {**own, **features} if isinstance(features, dict) else features

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
        """The features that are scored."""
        return ExtractionSettings(features=self._features, augmentation=self.augmentation)

    @property
    def train_extraction(self) -> ExtractionSettings:
        """The features that the method is fitted on."""
        if "train" in self.test_extraction.splits:
            return self.test_extraction
        return ExtractionSettings(features=self._features)

    @property
    def _features(self) -> FeatureSettings:
        return self.features.layer_maps if self.reads == "layer maps" else self.features
