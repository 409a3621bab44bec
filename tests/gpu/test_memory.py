"""What everything but training takes of a GPU at the paper's sizes, counted on fake tensors."""

from pathlib import Path
from typing import Any

import faiss
import pytest
import timm
import torch
from torch import Tensor, nn

from reconpatch.detection.coreset import CONTENDERS, _Points, coreset_memory, coreset_size
from reconpatch.detection.memory_bank import MemoryBank
from reconpatch.detection.represent import represent
from reconpatch.evaluation.diagnostics import scatter
from reconpatch.features.aggregation import patch_features
from reconpatch.features.backbones import Backbone, map_indices
from reconpatch.features.presets import timm_name
from reconpatch.features.weights import Weights
from reconpatch.methods.memory_bank import SCORED
from reconpatch.methods.method import Sizes
from reconpatch.methods.registry import METHODS
from reconpatch.refinement.network import RefinementNetwork
from reconpatch.settings.features import FeatureSettings
from reconpatch.settings.refinement import RefinementSettings
from reconpatch.settings.representation import RepresentationSettings
from reconpatch.suites.runs import batches
from reconpatch.suites.suite import load_suite
from tests.conftest import ROOT
from tests.devices import CUDA, GIB, LiveBytes, fake_gpu

pytestmark = pytest.mark.skipif(
    hasattr(faiss, "StandardGpuResources"), reason="faiss-gpu wants a GPU that is there"
)

CARD = 23e9
"""Of the 24 GB of a card; the rest is CUDA's own and what kernels take while they run."""

NEIGHBOURS = 9


def extracted() -> dict[tuple[str, tuple[int, ...], int], list[FeatureSettings]]:
    """All that the suite paper extracts, by what goes through a backbone."""
    suite = load_suite(ROOT / "config" / "suites" / "paper.yaml", Path("data"), ROOT / "config")
    settings = {e.features.key: e.features for b in batches(suite) for e in b.extractions}
    passes: dict[tuple[str, tuple[int, ...], int], list[FeatureSettings]] = {}
    for s in settings.values():
        passes.setdefault((s.backbone, s.layers, s.size), []).append(s)
    return passes


class Layer(nn.Linear):
    """A layer f on the fake GPU; fake parameters cannot be given new tensors."""

    def to(self, *args: Any, **kwargs: Any) -> "Layer":
        return self


PASSES = extracted()


@pytest.mark.parametrize("chosen", PASSES, ids=lambda c: f"{c[0]}-{c[1]}-{c[2]}")
def test_a_batch_of_images_becomes_patch_features_in_four_gib(
    chosen: tuple[str, tuple[int, ...], int],
) -> None:
    name, layers, crop = chosen
    # As many images as extract takes at once.
    count, side = 64 * 224**2 // crop**2, crop // 2 ** (1 + layers[0])
    indices = map_indices(timm_name(name), layers)
    with fake_gpu() as live:
        with torch.device(CUDA):
            network = timm.create_model(
                timm_name(name), features_only=True, out_indices=indices
            ).eval()
            images = torch.empty(count, 3, crop, crop, dtype=torch.uint8)
        backbone = Backbone(network, (0.5,) * 3, (0.2,) * 3, Weights(Path(), "fake", ""))
        for settings in PASSES[chosen]:
            patches = patch_features(backbone(images), settings)
            assert patches.device == CUDA
            assert patches.shape[:3] == (count, side, side)
            del patches
    assert live.peak["cuda"] < 4 * GIB


def detected(
    live: LiveBytes, images: int, tests: int, side: int, stored: int, dimension: int
) -> None:
    """From stored patch features to coreset, bank, scores and diagnostics, layer f on the way.

    Fake tensors have no values. What depends on them is the most that it can be: all contenders
    become centres, and each of the bank's vectors is some patch's nearest.
    """
    patches = torch.empty(images, side, side, stored)
    with torch.device(CUDA):
        layer = Layer(stored, dimension)
    features = represent(patches, layer, CUDA)
    count = len(features)
    assert features.shape == (images * side**2, dimension)
    assert features.device == CUDA

    points = _Points(features, CONTENDERS)
    bounds = torch.full((count,), torch.inf, device=CUDA)
    indices = bounds.topk(CONTENDERS + 1).indices[:-1]
    assert points.squared_distances(indices).device == CUDA
    points.lower(bounds, indices)
    assert live.now["cuda"] <= features.nbytes + coreset_memory(count, dimension, on_gpu=True)
    del points, bounds, indices

    size = coreset_size(count, 0.01)
    bank = MemoryBank(features[torch.empty(size, dtype=torch.long, device=CUDA)])
    at_once = SCORED // (4 * side**2 * dimension)
    own = represent(torch.empty(min(tests, at_once), side, side, stored), layer, CUDA)
    distances, nearest = bank.nearest(own)

    def unique(values: Tensor, return_inverse: bool) -> tuple[Tensor, Tensor]:
        return torch.arange(size, device=values.device), values

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tensor, "unique", unique)
        factors = bank.reweighting(own, distances, nearest, NEIGHBOURS)
    assert {distances.device, nearest.device, factors.device} == {CUDA}
    assert distances.shape == factors.shape == (len(own),)
    assert bank.vectors.device == CUDA
    del own, distances, nearest, factors
    assert scatter(features).device == CUDA


# Training and test images, patches a side, D, d.
SIZES = {
    "hazelnut at 224 px": (391, 110, 28, 1536, 1024),
    "BTAD 03 at 480 px": (1000, 441, 60, 1536, 1024),
}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_detection_fits_a_card_of_24_gb_and_takes_what_is_planned(
    sizes: tuple[int, int, int, int, int],
) -> None:
    images, tests, side, stored, dimension = sizes
    with fake_gpu() as live:
        detected(live, images, tests, side, stored, dimension)
    chosen = METHODS["ReConPatch"].Recipe(
        representation=RepresentationSettings(dimension=dimension)
    )
    planned = METHODS["ReConPatch"].needs(
        chosen, Sizes(images, tests, side**2, stored), on_gpu=True
    )
    assert live.peak["cuda"] < CARD
    assert 0.9 * planned.working_bytes < live.peak["cuda"] < 1.05 * planned.working_bytes
    # On the host there is no copy of the patch features, which are mapped from disk.
    mapped = 4 * images * side**2 * stored
    assert live.peak["cpu"] < mapped + GIB


def test_three_members_take_no_more_than_the_largest() -> None:
    peaks = []
    with fake_gpu() as live:
        # Of MVTec AD's largest category, hazelnut: 1.4 million patches.
        for dimension in (512, 1024, 512):
            detected(live, 391, 110, 60, 1536, dimension)
            # Whatever a member had is free again for the next.
            assert live.now["cuda"] == 0
            peaks.append(live.peak["cuda"])
    assert peaks[0] < peaks[1] == peaks[2] < 8e9


@pytest.mark.parametrize("stride", [1, 4])
def test_a_batch_of_maps_is_refined_in_four_gib(stride: int) -> None:
    with fake_gpu() as live:
        with torch.device(CUDA):
            network = RefinementNetwork(RefinementSettings(stride=stride), 0).eval()
            images = torch.empty(16, 3, 480, 480, dtype=torch.uint8)
            maps = torch.empty(16, 480, 480)
        refined = network(images, maps)
        assert refined.shape == (16, 480, 480)
        assert refined.device == CUDA
    assert live.peak["cuda"] < 4 * GIB


def test_live_bytes_are_those_of_storages_and_not_of_views() -> None:
    with fake_gpu() as live:
        whole = torch.empty(1000, 4, device=CUDA)
        view = whole[::2].T
        del whole
        assert live.now == {"cuda": 16_000}
        other = view.contiguous().add_(1)
        assert live.now == {"cuda": 24_000}
        del view
        assert live.now == {"cuda": 8_000}
        home = other.cpu()
        del other
        assert live.now == {"cuda": 0, "cpu": 8_000}
        assert live.peak == {"cuda": 24_000, "cpu": 8_000}
        assert home.device.type == "cpu"
