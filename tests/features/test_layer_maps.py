import numpy as np
import torch

from reconpatch.features.layer_maps import LayerMaps, pack

SHAPES = [(3, 6, 4), (5, 3, 2)]


def test_packed_maps_come_back_as_they_were() -> None:
    random = np.random.default_rng(0)
    maps = [torch.from_numpy(random.normal(size=(7, *shape))) for shape in SHAPES]
    packed = pack(maps)
    assert packed.shape == (7, 3 * 6 * 4 + 5 * 3 * 2)
    for stored in (packed, packed.numpy()):
        found = LayerMaps(stored, SHAPES)
        assert (len(found), found.shape) == (7, (7, 6, 4))
        for ours, theirs in zip(found.layers(), maps, strict=True):
            assert torch.equal(ours, theirs)
        for ours, theirs in zip(found[2:5].layers(), maps, strict=True):
            assert torch.equal(ours, theirs[2:5])
