"""From a backbone's feature maps to patch features (Section 3.1).

``concatenate`` is what the paper describes: layers brought to the finest grid, concatenated, and
averaged over a neighbourhood. ``patchcore`` is what PatchCore's public code does: each layer's
neighbourhoods are pooled to one dimension, and the layers together to the target dimension.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from reconpatch.settings.features import FeatureSettings


def patch_features(maps: list[Tensor], settings: FeatureSettings) -> Tensor:
    """Return patch features ``(B, h, w, D)`` on the finest grid ``h x w`` of the maps.

    Args:
        maps: one feature map ``(B, C, H, W)`` a layer, finest first.
        settings: the aggregation and its sizes.
    """
    if settings.aggregation == "concatenate":
        patches = concatenate(maps, settings.patch_size, pad=settings.border == "zeros")
    else:
        assert settings.layer_dimension
        assert settings.target_dimension
        patches = pool_as_patchcore(
            maps, settings.patch_size, settings.layer_dimension, settings.target_dimension
        )
    return F.normalize(patches, dim=-1) if settings.scaling == "unit_norm" else patches


def concatenate(maps: list[Tensor], patch_size: int, *, pad: bool) -> Tensor:
    """Return ``(B, h, w, sum of C)``: upsampled, concatenated, averaged over p x p neighbours.

    Adaptive average pooling of a p x p neighbourhood to one vector is its mean. With ``pad`` the
    neighbours outside the grid count as zeros, as PatchCore's unfolding has it; without, the mean
    is over the neighbours inside.
    """
    grid = maps[0].shape[-2:]
    together = torch.cat([maps[0], *(_upsample(m, grid) for m in maps[1:])], dim=1)
    averaged = F.avg_pool2d(together, patch_size, 1, patch_size // 2, count_include_pad=pad)
    return averaged.permute(0, 2, 3, 1)


def pool_as_patchcore(
    maps: list[Tensor], patch_size: int, layer_dimension: int, target_dimension: int
) -> Tensor:
    """Return ``(B, h, w, target_dimension)`` as amazon-science/patchcore-inspection does.

    Each layer's p x p neighbourhoods are unfolded on its own grid, brought to the finest grid, and
    pooled over (channel, row, column) to ``layer_dimension``; the layers side by side are then
    pooled to ``target_dimension``.
    """
    batch, _, height, width = maps[0].shape
    layers = []
    for layer in maps:
        unfolded = F.unfold(layer, patch_size, padding=patch_size // 2)
        unfolded = _upsample(unfolded.view(batch, -1, *layer.shape[-2:]), maps[0].shape[-2:])
        layers.append(F.adaptive_avg_pool1d(unfolded.flatten(2).mT, layer_dimension))
    together = torch.stack(layers, dim=2).flatten(2)
    return F.adaptive_avg_pool1d(together, target_dimension).view(batch, height, width, -1)


def _upsample(maps: Tensor, grid: torch.Size) -> Tensor:
    if maps.shape[-2:] == grid:
        return maps
    return F.interpolate(maps, size=tuple(grid), mode="bilinear", align_corners=False)
