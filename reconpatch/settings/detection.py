"""Settings from features to scores and anomaly maps (Eqs. 9-10)."""

from typing import Literal

from reconpatch.settings.base import Count, Positive, Settings, Share


class DetectionSettings(Settings):
    """From features to scores by a memory bank (Eqs. 9-10)."""

    coreset_share: Share = 0.01
    reweighting_neighbours: Count = 9
    reweighting: Literal["every_patch", "top_patch", "none"] = "every_patch"
    squared_distances: bool = False


class MapSettings(Settings):
    """From patch scores to anomaly maps, whatever method gave the scores."""

    upsampling: Literal["bilinear", "nearest"] = "bilinear"
    sigma: Positive = 4.0
    border: Literal["reflect", "mirror"] = "reflect"
