"""Recipes made of others: ensembles, and what is refined."""

from typing import Annotated, Literal, Self

from pydantic import Field, SerializeAsAny, model_validator

from reconpatch.settings.base import Settings
from reconpatch.settings.recipe import Recipe
from reconpatch.settings.refinement import RefinementSettings


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
        seen = {(m.features.geometry, m.augmentation) for m in members}
        if len(seen) > 1:
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
