"""MHPatchcore's map against its definition: components, shrinkage, whitening."""

import numpy as np
import pytest
import torch

from reconpatch.methods.mh_patchcore import MHPatchcore
from reconpatch.representation.whitening import learn
from reconpatch.settings.representation import WhiteningSettings

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)
# Correlated channels whose deviations fall from 1 to a thousandth.
MIXED = RNG.normal(size=(300, 9)) * np.geomspace(1, 1e-3, 9) @ RNG.normal(size=(9, 9)) + 5
PATCHES = MIXED.reshape(3, 10, 10, 9).astype(np.float32)


def mapped(settings: WhiteningSettings) -> np.ndarray:
    f = learn(PATCHES, settings, 0, device=CPU, description="").tensors["representation"]
    flat = PATCHES.reshape(-1, 9).astype(np.float64)
    return flat @ f["f.weight"].double().numpy().T + f["f.bias"].double().numpy()


@pytest.mark.parametrize(("share", "shrinkage"), [(0.99, 0.07), (0.9, 0.5), (1.0, 0.07)])
def test_distances_are_mahalanobis_by_the_shrunk_covariance(share: float, shrinkage: float) -> None:
    found = mapped(WhiteningSettings(variance_share=share, shrinkage=shrinkage))
    flat = PATCHES.reshape(-1, 9).astype(np.float64)
    centred = flat - flat.mean(axis=0)
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    variances = singular**2 / len(flat)
    d = next(d for d in range(1, 10) if variances[:d].sum() >= share * (1 - 1e-9) * variances.sum())
    assert found.shape[1] == d
    components = centred @ directions[:d].T
    covariance = components.T @ components / len(flat)
    shrunk = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / d * np.eye(d)
    for i, j in ((0, 1), (17, 230), (299, 4)):
        difference = components[i] - components[j]
        expected = np.sqrt(difference @ np.linalg.inv(shrunk) @ difference)
        assert np.linalg.norm(found[i] - found[j]) == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-3)


def test_its_own_dimension_is_the_datas() -> None:
    assert MHPatchcore._dimension(MHPatchcore.Recipe()) is None
    assert mapped(WhiteningSettings()).shape[1] < 9
