"""Settings of what turns patch features into what detection works on (Eqs. 1-8)."""

from math import ceil
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from reconpatch.settings.base import Count, Fraction, Positive, Settings, Share


class PoolingSettings(Settings):
    """PatchCore's features: the patch features, pooled to ``dimension`` by averages where given."""

    dimension: Count | None = None


class LinearMapSettings(Settings):
    """A linear map in closed form, to compare the trained one with; none of the paper's."""

    kind: Literal[
        "random_projection",
        "principal_components",
        "whitened_components",
        "neighbour_discriminant",
    ] = "principal_components"
    dimension: Count = 512
    neighbours: Count = 5


class WhiteningSettings(Settings):
    """MHPatchcore's principal components, and the whitening of these."""

    variance_share: Share = 0.99
    shrinkage: Share = 0.07


class RepresentationSettings(Settings):
    """Training of f and g (Eqs. 1-8)."""

    dimension: Count = 512
    projection_dimension: Count | None = 512
    initialization: Literal["orthogonal", "uniform", "principal_components"] = "orthogonal"
    input_scaling: Literal["none", "per_channel"] = "none"
    epochs: Annotated[int, Field(ge=0, le=1_000_000)] = 120
    batch_size: Annotated[int, Field(ge=2)] = 1024
    sampling: Literal["patches", "images", "positions"] = "patches"
    learning_rate: Positive = 1e-5
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    nesterov: bool = True
    k: Count = 5
    include_self: bool = True
    neighbour_set: Literal["nearest", "reciprocal"] = "nearest"
    half_set: Literal["reciprocal", "nearest"] = "reciprocal"
    half_set_rounding: Literal["down", "up"] = "up"
    sigma: Positive = 1.0
    sigma_unit: Literal["absolute", "mean_squared_distance"] = "absolute"
    alpha: Fraction = 0.5
    margin: Positive = 1.0
    detach_mean_distance: bool = False
    loss_reduction: Literal["rows", "pairs"] = "rows"
    ema_momentum: Fraction = 0.999
    mixed_precision: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.k >= self.batch_size:
            raise ValueError(
                f"k {self.k} must be below batch_size {self.batch_size}: neighbours are looked for "
                "within the mini-batch"
            )
        if self.half_k < 1:
            raise ValueError("k 1 rounded down has an empty half set in Eq. 4; take k 2 or more")
        return self

    @property
    def epochs_kept(self) -> frozenset[int]:
        """After which epochs a copy of f is kept, to be drawn along the way."""
        return frozenset(ceil(share * self.epochs) for share in (0, 1 / 4, 1 / 2)) - {self.epochs}

    @property
    def half_k(self) -> int:
        """The size k/2 of the neighbourhoods that Eq. 4 expands over, rounded as set."""
        return (self.k + 1) // 2 if self.half_set_rounding == "up" else self.k // 2
