"""A recipe: every choice that decides a run's numbers, validated and hashed.

Two tables that ask for the same recipe share one run, because a run's place is its recipe's key.
Which of the defaults the paper gives, and which it leaves open, stands in docs/ambiguities.md.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from reconpatch.settings import Settings

Share = Annotated[float, Field(gt=0, le=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Power = Annotated[int, Field(ge=0, le=6)]


class AugmentationSettings(Settings):
    """Changes of the environment, drawn anew for each image (Section 4.2, Appendix C.1).

    Attributes:
        rotation: degrees, either way.
        translation: share of the image's side, either way, for each of the two directions.
        brightness: factor from 1 - brightness to 1 + brightness.
        contrast: factor from 1 - contrast to 1 + contrast.
        blur_sigma: largest deviation of the Gaussian, in pixels of the resized image.
        probability: chance of each of the five to befall an image.
        fill: what lies beyond the image's edge.
        training_images: whether training images change as well, or test images alone.
        seed: decides all draws, together with the image's name.
    """

    rotation: Annotated[float, Field(ge=0)] = 10.0
    translation: Annotated[float, Field(ge=0)] = 0.05
    brightness: Annotated[float, Field(ge=0)] = 0.1
    contrast: Annotated[float, Field(ge=0)] = 0.1
    blur_sigma: Annotated[float, Field(ge=0)] = 1.0
    probability: Fraction = 1.0
    fill: Literal["reflect", "black"] = "reflect"
    training_images: bool = False
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.rotation > 180:
            raise ValueError(f"rotation {self.rotation} is above 180 degrees, which is any angle")
        if self.translation >= 0.5:
            raise ValueError(
                f"translation {self.translation} must be below 0.5, a share of the image's side: "
                "0.05 is 5 %"
            )
        for name, share in (("brightness", self.brightness), ("contrast", self.contrast)):
            if share >= 1:
                raise ValueError(
                    f"{name} {share} must be below 1, for factors from 1 - {name} to "
                    f"1 + {name}: 0.1 is 10 %"
                )
        return self


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
    scaling: Literal["none", "unit_norm"] = "none"
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


class PoolingSettings(Settings):
    """PatchCore's features: the patch features, pooled to ``dimension`` by averages where given."""

    kind: Literal["pooling"] = "pooling"
    dimension: Count | None = None


class LinearMapSettings(Settings):
    """A linear map in closed form, to compare the trained one with; none of the paper's."""

    kind: Literal[
        "random_projection",
        "principal_components",
        "whitened_components",
        "neighbour_discriminant",
    ]
    dimension: Count
    neighbours: Count = 5


class RepresentationSettings(Settings):
    """Training of f and g (Eqs. 1-8)."""

    kind: Literal["trained"] = "trained"
    dimension: Count = 512
    projection_dimension: Count | None = 512
    initialization: Literal["orthogonal", "uniform", "principal_components"] = "orthogonal"
    input_scaling: Literal["none", "per_channel"] = "none"
    epochs: Annotated[int, Field(ge=0)] = 120
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


class PatchSettings(Settings):
    """What patch features are stored of: how they are made, and of which images.

    Attributes:
        features: from images to patch features.
        augmentation: what is done to the images first.
    """

    features: FeatureSettings
    augmentation: AugmentationSettings | None = None

    @property
    def splits(self) -> tuple[Literal["train", "test"], ...]:
        """The splits that are there: test images alone where augmentation spares the training."""
        if self.augmentation is None or self.augmentation.training_images:
            return ("train", "test")
        return ("test",)


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
    def test_patches(self) -> PatchSettings:
        """The patch features that are scored."""
        return PatchSettings(features=self.features, augmentation=self.augmentation)

    @property
    def train_patches(self) -> PatchSettings:
        """The patch features that f and the memory bank are made of."""
        if "train" in self.test_patches.splits:
            return self.test_patches
        return PatchSettings(features=self.features)


class RefinementSettings(Settings):
    """From anomaly maps to refined ones, by a network trained on simulated defects (Appendix D).

    Attributes:
        anomaly: what defects are filled with: the image's own patches, permuted, or a texture.
        patches: into how many rows and columns of patches the image is cut.
        noise_cells: least and greatest power of two that the noise's cells number along a side.
        noise_threshold: the noise above which it makes a defect.
        regions: how many of its peaks do so at most.
        opacity: least and greatest share of the filling where it is blended in.
        visible: the change, in grey levels of 255, that at least half of a defect must have.
        smallest: the fewest pixels of a defect.
        pool: how many defects are simulated on each training image.
        normal_share: chance of an image to be shown without any, in each epoch.
        input: what the network sees: the image, the score map, or both.
        stride: by how much it works coarser than the image.
        width: its channels.
        rates: of its parallel atrous convolutions.
        focal_gamma: gamma of the focal loss.
        focal_alpha: weight of anomalous pixels in it; that of normal ones is the rest.
        l1_weight: weight of the L1 loss beside it.
        image_score: the refined map's maximum, or the score of the run that is refined.
    """

    anomaly: Literal["structure", "texture"] = "structure"
    patches: tuple[Count, Count] = (8, 8)
    noise_cells: tuple[Power, Power] = (0, 3)
    noise_threshold: Annotated[float, Field(ge=0, lt=0.5)] = 0.25
    regions: Count = 4
    opacity: tuple[Share, Share] = (0.1, 1.0)
    visible: Count = 5
    smallest: Count = 30
    pool: Count = 4
    normal_share: Fraction = 0.5
    input: Literal["both", "scores", "image"] = "both"
    stride: Count = 4
    width: Count = 16
    rates: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 2, 4, 8)
    epochs: Count = 500
    batch_size: Annotated[int, Field(ge=2)] = 16
    learning_rate: Positive = 0.01
    schedule: Literal["cosine", "constant"] = "cosine"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    focal_gamma: Annotated[float, Field(ge=0)] = 2.0
    focal_alpha: Fraction = 0.75
    l1_weight: Annotated[float, Field(ge=0)] = 1.0
    image_score: Literal["refined", "kept"] = "refined"

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, (low, high) in (("noise_cells", self.noise_cells), ("opacity", self.opacity)):
            if low > high:
                raise ValueError(f"{name} {low} to {high} must rise")
        return self


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
