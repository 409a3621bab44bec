"""Settings from features to scores and anomaly maps (Eqs. 9-10)."""

from typing import Literal

from reconpatch.settings.base import Count, Positive, Settings, Share


class DetectionSettings(Settings):
    """From features to scores (Eqs. 9-10) and anomaly maps."""

    coreset_share: Share = 0.01
    reweighting_neighbours: Count = 9
    reweighting: Literal["every_patch", "top_patch", "none"] = "every_patch"
    squared_distances: bool = False
    map_upsampling: Literal["bilinear", "nearest"] = "bilinear"
    map_sigma: Positive = 4.0
    map_border: Literal["reflect", "mirror"] = "reflect"
