"""A recipe: every choice that decides a run's numbers, validated and hashed.

Two tables that ask for the same recipe share one run, because a run's place is its recipe's key.
Which of the defaults the paper gives, and which it leaves open, stands in docs/ambiguities.md.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from reconpatch.settings.base import Settings
from reconpatch.settings.detection import DetectionSettings
from reconpatch.settings.features import AugmentationSettings, ExtractionSettings, FeatureSettings
from reconpatch.settings.refinement import RefinementSettings
from reconpatch.settings.representation import (
    LinearMapSettings,
    PoolingSettings,
    RepresentationSettings,
)


def _kind(value: Any) -> str:
    """Which settings a representation has: those of a training unless it says otherwise."""
    kind = value.get("kind", "trained") if isinstance(value, dict) else value.kind
    return str(kind) if kind in ("pooling", "trained") else "linear"


class Recipe(Settings):
    """One method with all its settings; PatchCore is the recipe that trains no representation."""

    features: FeatureSettings = FeatureSettings()
    augmentation: AugmentationSettings | None = None
    representation: Annotated[
        Annotated[PoolingSettings, Tag("pooling")]
        | Annotated[LinearMapSettings, Tag("linear")]
        | Annotated[RepresentationSettings, Tag("trained")],
        Discriminator(_kind),
    ] = PoolingSettings()
    detection: DetectionSettings = DetectionSettings()

    @property
    def method(self) -> str:
        """The method's name in tables."""
        if self.pooled:
            return "PatchCore"
        return "ReConPatch" if self.trained else self.representation.kind.replace("_", " ")

    @property
    def trained(self) -> RepresentationSettings | None:
        """The settings of the training, where there is one."""
        chosen = self.representation
        return chosen if isinstance(chosen, RepresentationSettings) else None

    @property
    def pooled(self) -> PoolingSettings | None:
        """The settings of PatchCore's pooling, where there is no layer f."""
        chosen = self.representation
        return chosen if isinstance(chosen, PoolingSettings) else None

    @property
    def test_extraction(self) -> ExtractionSettings:
        """The patch features that are scored."""
        return ExtractionSettings(features=self.features, augmentation=self.augmentation)

    @property
    def train_extraction(self) -> ExtractionSettings:
        """The patch features that f and the memory bank are made of."""
        if "train" in self.test_extraction.splits:
            return self.test_extraction
        return ExtractionSettings(features=self.features)


class Ensemble(Settings):
    """Several recipes whose scores are fused (Eq. 11)."""

    members: Annotated[tuple[Recipe, ...], Field(min_length=2)]
    deviation: Literal["median", "mean", "none"] = "median"

    @property
    def method(self) -> str:
        """The method's name in tables: its members'."""
        return self.members[0].method


class Refined(Settings):
    """A recipe or an ensemble whose anomaly maps a network refines (Appendix D)."""

    of: Recipe | Ensemble
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


AnyRecipe = Recipe | Ensemble | Refined
"""What a run measures."""
