"""Every step but training on a pretended GPU: the CPU's numbers, and no tensor left on the CPU."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from reconpatch.detection import coreset, memory_bank, represent
from reconpatch.detection.memory_bank import MemoryBank
from reconpatch.detection.scoring import score
from reconpatch.evaluation import diagnostics
from reconpatch.features.aggregation import patch_features
from reconpatch.features.backbones import Backbone
from reconpatch.features.weights import Weights
from reconpatch.methods import memory_bank as methods
from reconpatch.methods.method import Method, TrainingSet
from reconpatch.methods.registry import METHODS
from reconpatch.refinement.network import RefinementNetwork
from reconpatch.refinement.refine import refine
from reconpatch.refinement.scoring import score_simulated
from reconpatch.representation import linear_maps
from reconpatch.settings.detection import DetectionSettings
from reconpatch.settings.features import FeatureSettings
from reconpatch.settings.refinement import RefinementSettings
from reconpatch.settings.representation import LinearMapSettings, PoolingSettings
from reconpatch.utils.errors import InputError
from tests.devices import CUDA, PretendedGpu

pytestmark = pytest.mark.skipif(
    hasattr(faiss, "StandardGpuResources"), reason="faiss-gpu wants a GPU that is there"
)

CPU = torch.device("cpu")
SHAPE = (7, 4, 5, 12)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few rows, so that borders are crossed."""
    monkeypatch.setattr(coreset, "BLOCK", 4 * 2048 * 9)
    monkeypatch.setattr(memory_bank, "BLOCK", 4 * 3000)
    monkeypatch.setattr(methods, "SCORED", 4 * 20 * 12 * 3)
    monkeypatch.setattr(represent, "ROWS", 11)
    monkeypatch.setattr(diagnostics, "ROWS", 13)


def pretending(device: torch.device) -> Any:
    """The mode in which ``device`` is there."""
    return PretendedGpu() if device == CUDA else torch.inference_mode()


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def on_cpu(tensor: Tensor) -> np.ndarray:
    return tensor.cpu().numpy()


def drawn(seed: int, dtype: str = "float32") -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=SHAPE)
    return (values + np.linspace(0, 3, SHAPE[-1])).astype(dtype)


def recipe(method: str, **detection: Any) -> Any:
    settings = DetectionSettings(coreset_share=0.4, reweighting_neighbours=4, **detection)
    if method == "linear map":
        representation: Any = LinearMapSettings(kind="whitened_components", dimension=5)
    else:
        representation = PoolingSettings(dimension=6 if method == "pooled" else None)
        method = "PatchCore"
    return METHODS[method].Recipe(detection=settings.model_dump(), representation=representation)


def everything(chosen: Any, device: torch.device, folder: Path, dtype: str) -> dict[str, Any]:
    """What a method makes of training and test images, on a device."""
    training = TrainingSet(drawn(0, dtype), 3, "drawn")
    with pretending(device):
        method: Method[Any] = METHODS[chosen.method](chosen, device, folder)
        method.fit(training)
        features = method.training_features(training)
        assert features.device == device
        found = {f"tensors {name}": on_cpu(t) for name, t in method.tensors().items()}
        for name, made in (
            ("test", method.score(drawn(1, dtype))),
            ("training", method.score_training(training)),
            ("left out", method.score_left_out(drawn(1, dtype)[:2], 3)),
        ):
            found |= {f"{name} images": made.images, f"{name} patches": made.patches}
        found["effective rank"] = diagnostics.effective_rank(features)
    return found


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("reweighting", ["every_patch", "top_patch", "none"])
@pytest.mark.parametrize("method", ["whole", "pooled", "linear map"])
def test_coreset_scores_and_diagnostics_are_those_of_the_cpu(
    method: str, reweighting: str, dtype: str, tmp_path: Path
) -> None:
    chosen = recipe(method, reweighting=reweighting)
    if method == "linear map":
        learned = linear_maps.learn(drawn(0), chosen.representation, 0, device=CPU, description="")
        save_file(learned.tensors["representation"], tmp_path / "representation.safetensors")
    expected = everything(chosen, CPU, tmp_path, dtype)
    found = everything(chosen, CUDA, tmp_path, dtype)
    assert np.array_equal(found["tensors indices"], expected["tensors indices"])
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_scoring_goes_on_with_fewer_images_where_memory_runs_out() -> None:
    method = METHODS["PatchCore"](recipe("whole"), CUDA)
    tests = drawn(1)
    image = tests[0].nbytes
    with PretendedGpu():
        method.fit(TrainingSet(drawn(0), 3, "drawn"))
        expected = method.score(tests)
    # Two images' features fit, and their products with the bank; seven images are tried first.
    products = 4 * 4 * 5 * len(method.bank.vectors)
    candidates = 5 * image
    with PretendedGpu(largest=2 * max(products, candidates)):
        found = method.score(tests)
    np.testing.assert_allclose(found.patches, expected.patches, rtol=1e-6)
    np.testing.assert_allclose(found.images, expected.images, rtol=1e-6)
    with PretendedGpu(largest=image - 1), pytest.raises(InputError, match="Tried to allocate"):
        method.score(tests)


@pytest.mark.parametrize("count", [1, 4, 20])
def test_a_bank_without_some_vectors_finds_what_one_of_the_others_finds(count: int) -> None:
    rng = np.random.default_rng(5)
    vectors = torch.from_numpy(rng.normal(size=(30, 6))).float()
    queries = torch.from_numpy(rng.normal(size=(25, 6)) * 2).float()
    # Left out are those that are nearest to the first queries.
    left_out = torch.zeros(30, dtype=torch.bool)
    left_out[MemoryBank(vectors).neighbours(queries[:6], 1)[:, 0]] = True
    others = MemoryBank(vectors[~left_out])
    expected = torch.arange(30)[~left_out][others.neighbours(queries, count)]
    settings = DetectionSettings(reweighting_neighbours=count)
    with PretendedGpu():
        bank = MemoryBank(vectors.to(CUDA)).without(left_out)
        assert torch.equal(bank.neighbours(queries.to(CUDA), count).cpu(), expected)
        found = score(bank, queries.to(CUDA), (5, 5), settings)
    wanted = score(others, queries, (5, 5), settings)
    np.testing.assert_allclose(found.patches, wanted.patches, rtol=1e-5)


def test_products_rank_anew_what_their_rounding_mixes_up() -> None:
    # In single precision the square of 3000 swallows what tells these vectors apart.
    vectors = torch.tensor([[3000.0, 0.4], [3000.0, 0.1], [3000.0, 0.2], [-6000.0, 0.0]])
    queries = torch.tensor([[3000.0, 0.0], [3000.0, 0.3]])
    search = memory_bank._Products(vectors).search(queries, 3)
    assert search.tolist() == [[1, 2, 0], [0, 2, 1]]


def test_what_faiss_finds_lies_where_the_queries_do() -> None:
    vectors = torch.from_numpy(np.random.default_rng(5).normal(size=(30, 6))).float()
    with PretendedGpu():
        found = memory_bank._Faiss(vectors).search(vectors[:4].to(CUDA), 1)
        assert found.device == CUDA
        assert found.cpu().tolist() == [[0], [1], [2], [3]]


@pytest.mark.parametrize("patch_size", [1, 5])
@pytest.mark.parametrize("aggregation", ["concatenate", "patchcore"])
def test_patch_features_are_those_of_the_cpu_up_to_rounding(
    aggregation: str, patch_size: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    # Grids that do not divide each other too, as those of other backbones.
    sizes = [(6, 12, 10), (8, 6, 5), (9, 4, 3)]
    maps = [torch.rand(2, *size, generator=generator) for size in sizes]
    chosen = FeatureSettings(
        layers=(1, 2, 3),
        patch_size=patch_size,
        aggregation=aggregation,
        layer_dimension=7 if aggregation == "patchcore" else None,
        target_dimension=9 if aggregation == "patchcore" else None,
    )
    expected = patch_features(maps, chosen)
    with PretendedGpu():
        found = patch_features([layer.to(CUDA) for layer in maps], chosen).cpu()
    torch.testing.assert_close(found, expected, rtol=4e-6, atol=1e-6)


def backbone(device: torch.device) -> Backbone:
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", features_only=True, out_indices=[2, 3]).eval()
    for name, tensor in network.state_dict().items():
        if "running" not in name and tensor.ndim == 1:
            tensor.uniform_(0.5, 1.5)
    network = network.requires_grad_(False).to(device, memory_format=torch.channels_last)
    return Backbone(network, (0.5,) * 3, (0.2,) * 3, Weights(Path(), "drawn", ""))


def refined(device: torch.device) -> tuple[np.ndarray, np.ndarray]:
    """Simulated images through backbone, method and refinement network, on a device."""
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(4, 3, 32, 32, 3), dtype=np.uint8)
    maps = rng.normal(size=(12, 32, 32)).astype(np.float32)
    pixels = torch.from_numpy(images).flatten(0, 1).permute(0, 3, 1, 2)
    chosen = FeatureSettings(backbone="test_resnet")
    network = RefinementNetwork(RefinementSettings(width=4, rates=(1, 2)), 0).eval()
    torch.nn.init.normal_(network.head.weight, generator=torch.Generator().manual_seed(0))
    with pretending(device):
        model = backbone(device)
        method = METHODS["PatchCore"](recipe("whole"), device)
        normal = patch_features(model(pixels[::3].to(device)), chosen)
        method.fit(TrainingSet(on_cpu(normal), 0, "drawn"))
        scored = score_simulated(images, model, method, "drawn")
        return scored, refine(network.to(device), pixels.split(5), maps)


def test_simulated_images_are_scored_and_refined_as_on_the_cpu() -> None:
    for found, expected in zip(refined(CUDA), refined(CPU), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_tensor_that_stays_on_the_cpu_is_caught() -> None:
    with PretendedGpu():
        ours, stray = torch.ones(3, device="cuda"), torch.ones(3)
        with pytest.raises(AssertionError, match=r"aten.add.Tensor .* some on the CPU"):
            ours + stray
        with pytest.raises(AssertionError, match=r"aten.index.Tensor"):
            stray[ours.long()]
        assert (ours + stray.sum()).device == CUDA
        assert stray.copy_(ours).device == CPU
        assert torch.empty(0).to(CUDA).is_cuda
        assert ours[torch.zeros(2, dtype=torch.long)].device == CUDA
