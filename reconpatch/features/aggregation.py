"""From a backbone's feature maps to patch features (Section 3.1).

``concatenate`` is what the paper describes: layers brought to the finest grid, concatenated, and
averaged over a neighbourhood. ``patchcore`` is what PatchCore's public code does: each layer's
neighbourhoods are pooled to one dimension, and the layers together to the target dimension.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Size, Tensor

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
    together = torch.cat([maps[0], *(upsample(m, grid) for m in maps[1:])], dim=1)
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
    grid = maps[0].shape[-2:]
    layers = []
    for layer in maps:
        unfolded = F.unfold(layer, patch_size, padding=patch_size // 2)
        if layer.is_cuda:
            # Pooling over channels and upsampling over places may change order. Here the small
            # comes first, in p^2 C / layer_dimension less memory; the CPU keeps its last bits.
            pooled = F.adaptive_avg_pool1d(unfolded.mT, layer_dimension)
            pooled = pooled.unflatten(1, layer.shape[-2:]).permute(0, 3, 1, 2)
            layers.append(upsample(pooled, grid).flatten(2).mT)
        else:
            unfolded = upsample(unfolded.unflatten(2, layer.shape[-2:]), grid)
            layers.append(F.adaptive_avg_pool1d(unfolded.flatten(2).mT, layer_dimension))
    together = torch.stack(layers, dim=2).flatten(2)
    return F.adaptive_avg_pool1d(together, target_dimension).view(-1, *grid, target_dimension)


def upsample(maps: Tensor, grid: Size) -> Tensor:
    """Return maps ``(B, C, h, w)`` on a finer grid ``(H, W)``: bilinear, corners not aligned.

    On a GPU by a matrix for the rows and one for the columns. torch's own way there that repeats
    its bits gathers four corners a pixel, with indices of 8 bytes, in six times the memory.
    """
    if maps.shape[-2:] == grid:
        return maps
    if not maps.is_cuda:
        return F.interpolate(maps, size=tuple(grid), mode="bilinear", align_corners=False)
    rows, columns = (
        _interpolation(cells, size, maps) for cells, size in zip(maps.shape[-2:], grid, strict=True)
    )
    # With the channels last, as a backbone on a GPU has them, this needs no copy.
    tall = (rows @ maps.permute(0, 2, 3, 1).flatten(2)).unflatten(2, (maps.shape[3], -1))
    whole: Tensor = columns @ tall
    return whole.permute(0, 3, 1, 2)


def _interpolation(cells: int, size: int, like: Tensor) -> Tensor:
    """The ``(size, cells)`` matrix that interpolates a line of cells."""
    places, centres = (
        torch.arange(n, dtype=torch.float64, device=like.device) for n in (size, cells)
    )
    where = ((places + 0.5) * cells / size - 0.5).clamp(0, cells - 1)
    return (1 - (where[:, None] - centres).abs()).clamp(min=0).to(like.dtype)
