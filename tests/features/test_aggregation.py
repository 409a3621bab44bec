import pytest
import torch
from torch import Tensor

from reconpatch.features.aggregation import concatenate, patch_features, pool_as_patchcore
from reconpatch.settings.features import FeatureSettings
from tests import naive


def feature_maps(*sizes: tuple[int, int, int]) -> list[Tensor]:
    """Maps of two images in float64; sizes are (channels, height, width)."""
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(2, *size, generator=generator, dtype=torch.float64) for size in sizes]


@pytest.mark.parametrize("border", ["zeros", "inside"])
@pytest.mark.parametrize("patch_size", [1, 3, 5])
def test_concatenated_patches_are_the_means_of_their_neighbourhoods(
    patch_size: int, border: str
) -> None:
    maps = feature_maps((2, 6, 4), (3, 3, 2))
    settings = FeatureSettings(patch_size=patch_size, border=border)
    found = patch_features(maps, settings)
    for image in range(2):
        expected = naive.concatenate(
            [layer[image] for layer in maps], patch_size, pad=border == "zeros"
        )
        torch.testing.assert_close(found[image], expected)


def test_neighbours_outside_the_grid_are_zeros_or_left_out() -> None:
    ones = [torch.ones(1, 1, 4, 4)]
    padded = concatenate(ones, 3, pad=True)[0, :, :, 0]
    assert padded[0].tolist() == pytest.approx([4 / 9, 6 / 9, 6 / 9, 4 / 9])
    assert torch.equal(concatenate(ones, 3, pad=False)[0, :, :, 0], torch.ones(4, 4))


# Dimensions that do not divide the components', and some above them, as PatchCore's code allows.
@pytest.mark.parametrize(("layer_dimension", "target_dimension"), [(7, 5), (64, 9), (5, 24)])
@pytest.mark.parametrize("patch_size", [1, 3])
def test_pooled_patches_are_those_of_patchcores_code(
    patch_size: int, layer_dimension: int, target_dimension: int
) -> None:
    maps = feature_maps((2, 6, 4), (3, 3, 2), (4, 2, 1))
    settings = FeatureSettings(
        layers=(1, 2, 3),
        patch_size=patch_size,
        aggregation="patchcore",
        layer_dimension=layer_dimension,
        target_dimension=target_dimension,
    )
    found = patch_features(maps, settings)
    for image in range(2):
        expected = naive.pool_as_patchcore(
            [layer[image] for layer in maps], patch_size, layer_dimension, target_dimension
        )
        torch.testing.assert_close(found[image], expected)


def test_a_single_layer_needs_no_upsampling_and_keeps_rows_and_columns() -> None:
    (layer,) = feature_maps((5, 2, 3))
    patches = layer.permute(0, 2, 3, 1)
    assert torch.equal(concatenate([layer], 1, pad=True), patches)
    assert torch.equal(pool_as_patchcore([layer], 1, 5, 5), patches)
