"""Settings from images to patch features (Section 3.1), augmentation included (Section 4.2)."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from reconpatch.settings.base import Count, Fraction, Pixels, Settings


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


DIMENSIONS = ("layer_dimension", "target_dimension")


Crop = Annotated[Pixels | None, BeforeValidator(lambda value: None if value == "none" else value)]
"""A side in pixels; ``none`` in a suite's file is None."""


class FeatureSettings(Settings):
    """From images to patch features (Section 3.1).

    Attributes:
        resize: pixels of a side after resizing.
        resize_to: whether that is the shorter side, with the image's shape kept, or both sides.
        crop: side of the square that is kept from the resized image's middle; None keeps the whole
            image, which must then be resized to a square: patches of a category share one grid.
    """

    backbone: str = "wide_resnet50_2"
    layers: Annotated[tuple[Count, ...], Field(min_length=1)] = (2, 3)
    patch_size: Count = 3
    resize: Pixels = 256
    resize_to: Literal["shorter_side", "square"] = "shorter_side"
    crop: Crop = 224
    aggregation: Literal["concatenate", "patchcore", "none"] = "concatenate"
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
        if self.crop is None and self.resize_to != "square":
            raise ValueError(
                "crop none keeps the whole image, and a category's images may differ in shape: add "
                "resize_to: square, or give crop a side in pixels"
            )
        if self.crop is not None and self.crop > self.resize:
            raise ValueError(f"crop {self.crop} is larger than resize {self.resize}")
        dimensions = (self.layer_dimension, self.target_dimension)
        if self.aggregation == "patchcore" and None in dimensions:
            raise ValueError("aggregation patchcore needs layer_dimension and target_dimension")
        if self.aggregation != "patchcore" and dimensions != (None, None):
            raise ValueError(
                "layer_dimension and target_dimension belong to aggregation patchcore; leave them "
                "out, or choose that aggregation"
            )
        if self.aggregation == "patchcore" and self.border == "inside":
            raise ValueError("aggregation patchcore pads with zeros; leave border out")
        return self

    @property
    def size(self) -> int:
        """Side of the square that the backbone sees, in pixels."""
        return self.crop or self.resize

    @property
    def geometry(self) -> tuple[int, str, int | None]:
        """What decides which part of an image is seen, and at what size."""
        return self.resize, self.resize_to, self.crop

    @property
    def layer_maps(self) -> "FeatureSettings":
        """The same layers' maps before aggregation, on which its settings have no bearing."""
        plain = FeatureSettings(aggregation="none")
        names = ("aggregation", "patch_size", "border", "scaling", *DIMENSIONS)
        return self.model_copy(update={name: getattr(plain, name) for name in names})


class ExtractionSettings(Settings):
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
