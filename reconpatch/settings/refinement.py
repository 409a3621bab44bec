"""Settings of the refinement network and the simulated defects it is trained on (Appendix D)."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from reconpatch.settings.base import Count, Fraction, Positive, Settings, Share

Power = Annotated[int, Field(ge=0, le=6)]


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
    learning_rate: Positive = 0.1
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
