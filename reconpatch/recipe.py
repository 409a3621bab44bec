"""A recipe: every choice that decides a run's numbers, validated and hashed.

Two tables that ask for the same recipe share one run, because a run's place is its recipe's key.
Which of the defaults the paper gives, and which it leaves open, stands in docs/ambiguities.md.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from reconpatch.errors import InputError
from reconpatch.settings import Settings, readable

Share = Annotated[float, Field(gt=0, le=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class FeatureSettings(Settings):
    """From images to patch features (Section 3.1)."""

    backbone: str = "wide_resnet50_2"
    layers: Annotated[tuple[Count, ...], Field(min_length=1)] = (2, 3)
    patch_size: Count = 3
    resize: Count = 256
    crop: Count = 224
    aggregation: Literal["concatenate", "patchcore"] = "concatenate"
    layer_dimension: Count | None = None
    target_dimension: Count | None = None
    border: Literal["zeros", "inside"] = "zeros"
    stored_as: Literal["float32", "float16"] = "float32"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if list(self.layers) != sorted(set(self.layers)):
            raise ValueError(f"layers {self.layers} must rise and be named once, as in [2, 3]")
        if self.patch_size % 2 == 0:
            raise ValueError(f"patch_size {self.patch_size} must be odd, to have a middle patch")
        if self.crop > self.resize:
            raise ValueError(f"crop {self.crop} is larger than resize {self.resize}")
        dimensions = (self.layer_dimension, self.target_dimension)
        if self.aggregation == "patchcore" and None in dimensions:
            raise ValueError("aggregation patchcore needs layer_dimension and target_dimension")
        if self.aggregation == "concatenate" and dimensions != (None, None):
            raise ValueError(
                "layer_dimension and target_dimension belong to aggregation patchcore; leave them "
                "out, or choose that aggregation"
            )
        if self.aggregation == "patchcore" and self.border == "inside":
            raise ValueError("aggregation patchcore pads with zeros; leave border out")
        return self


class RepresentationSettings(Settings):
    """Training of f and g (Eqs. 1-8)."""

    dimension: Count = 512
    projection_dimension: Count | None = 512
    initialization: Literal["orthogonal", "uniform"] = "orthogonal"
    epochs: Count = 120
    batch_size: Annotated[int, Field(ge=2)] = 1024
    learning_rate: Positive = 1e-5
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    nesterov: bool = True
    k: Count = 5
    include_self: bool = True
    half_set_rounding: Literal["down", "up"] = "up"
    sigma: Positive = 1.0
    sigma_unit: Literal["absolute", "mean_squared_distance"] = "absolute"
    alpha: Fraction = 0.5
    margin: Positive = 1.0
    detach_mean_distance: bool = False
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
    def half_k(self) -> int:
        """The size k/2 of the neighbourhoods that Eq. 4 expands over, rounded as set."""
        return (self.k + 1) // 2 if self.half_set_rounding == "up" else self.k // 2


class DetectionSettings(Settings):
    """From features to scores (Eqs. 9-10) and anomaly maps."""

    coreset_share: Share = 0.01
    reweighting_neighbours: Count = 9
    reweighting: Literal["every_patch", "top_patch", "none"] = "every_patch"
    squared_distances: bool = False
    map_upsampling: Literal["bilinear", "nearest"] = "bilinear"
    map_sigma: Positive = 4.0
    map_border: Literal["reflect", "mirror"] = "reflect"


class Recipe(Settings):
    """One method with all its settings; PatchCore is the recipe without a representation."""

    features: FeatureSettings = FeatureSettings()
    representation: RepresentationSettings | None = None
    detection: DetectionSettings = DetectionSettings()

    @property
    def method(self) -> str:
        """The method's name in tables."""
        return "PatchCore" if self.representation is None else "ReConPatch"


def parse_recipe(text: str) -> Recipe:
    """Return the recipe that a JSON text describes; what it leaves out takes its default.

    Raises:
        InputError: the text is no recipe; the message names each wrong setting.
    """
    try:
        return Recipe.model_validate_json(text)
    except ValidationError as error:
        raise InputError(f"This is not a recipe: {readable(error)}") from None
