import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from scipy.ndimage import gaussian_filter

from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.settings.detection import MapSettings


@pytest.mark.parametrize("upsampling", ["bilinear", "nearest"])
@pytest.mark.parametrize("border", ["reflect", "mirror"])
@pytest.mark.parametrize(
    ("grid", "size", "sigma"), [((28, 28), 224, 4.0), ((5, 7), 33, 1.5), ((30, 9), 20, 2.0)]
)
def test_maps_are_torchs_upsampling_under_scipys_gaussian(
    grid: tuple[int, int], size: int, sigma: float, border: str, upsampling: str
) -> None:
    scores = np.random.default_rng(0).normal(10, 3, size=(3, *grid)).astype(np.float32)
    upsampled = F.interpolate(
        torch.from_numpy(scores).double()[:, None],
        size=(size, size),
        mode=upsampling,
        align_corners=False if upsampling == "bilinear" else None,
    )
    expected = [gaussian_filter(image, sigma, mode=border) for image in upsampled[:, 0].numpy()]
    chosen = MapSettings(sigma=sigma, upsampling=upsampling, border=border)
    maps = anomaly_maps(scores, size, chosen)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, expected, rtol=1e-5)


@pytest.mark.parametrize("upsampling", ["bilinear", "nearest"])
@pytest.mark.parametrize("border", ["reflect", "mirror"])
def test_even_scores_give_an_even_map_up_to_the_border(upsampling: str, border: str) -> None:
    chosen = MapSettings(upsampling=upsampling, border=border)
    maps = anomaly_maps(np.full((1, 7, 7), 3, dtype=np.float32), 56, chosen)
    np.testing.assert_allclose(maps, 3, rtol=1e-6)


def test_one_hot_patch_is_brightest_where_it_lies() -> None:
    scores = np.zeros((1, 8, 8), dtype=np.float32)
    scores[0, 2, 6] = 1
    (found,) = anomaly_maps(scores, 64, MapSettings())
    row, column = np.unravel_index(found.argmax(), found.shape)
    # Cell (2, 6) covers rows 16 to 23 and columns 48 to 55.
    assert row in (19, 20)
    assert column in (51, 52)
