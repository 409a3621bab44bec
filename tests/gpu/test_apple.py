"""Apple's GPUs have no double precision: where it is not to be had, no tensor may be double.

torch for Linux makes no tensors on such a device, so that a fake CUDA device stands in.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from reconpatch.features.layer_maps import LayerMaps
from reconpatch.methods import coupling
from reconpatch.methods.coupling import Standardisation
from reconpatch.methods.padim import PaDiM
from reconpatch.representation import adamp, similarity
from reconpatch.representation.networks import RepresentationNetwork
from reconpatch.representation.similarity import label_spread
from reconpatch.representation.step import TrainingStep
from reconpatch.settings.representation import RepresentationSettings
from reconpatch.utils import devices, precision
from reconpatch.utils.precision import widest

APPLE, GPU, META = torch.device("mps"), torch.device("cuda:0"), torch.device("meta")


class NoDoubles(TorchDispatchMode):
    """Fails where an operation makes a tensor that an Apple GPU cannot hold."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor) and tensor.device.type in ("cuda", "meta"):
                assert tensor.dtype not in (torch.float64, torch.complex128), func
        return made


@pytest.fixture
def without_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    def single(device: torch.device) -> torch.dtype:
        return widest(APPLE)

    for module in (adamp, coupling, precision, similarity):
        monkeypatch.setattr(module, "widest", single)


@pytest.fixture
def apple(without_doubles: None) -> Iterator[None]:
    with FakeTensorMode(allow_non_fake_inputs=True), NoDoubles():
        yield


def test_the_guard_sees_doubles(apple: None) -> None:
    with pytest.raises(AssertionError):
        torch.ones(2, device=GPU).double()
    assert widest(APPLE) == torch.float32
    assert widest(torch.device("cpu")) == widest(GPU) == torch.float64


def test_a_training_step(without_doubles: None) -> None:
    """On torch's device without values: gradients want a CUDA that is there."""
    settings = RepresentationSettings(dimension=16, projection_dimension=8, batch_size=32)
    with NoDoubles():
        with META:
            network = RepresentationNetwork(24, settings, 0)
        step = TrainingStep(network, settings, [1e-3, 1e-3], None, without_reads=True)
        for _ in range(2):
            step(torch.empty(32, 24, device=META))
        assert label_spread(step.labels).device == META


def test_padim(apple: None, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = ((24, 56, 56), (40, 28, 28), (112, 14, 14))
    method = PaDiM(PaDiM.Recipe(dimension=10), GPU)
    chosen = [
        torch.empty(20, n, *shape[1:], device=GPU)
        for n, shape in zip((2, 3, 5), shapes, strict=True)
    ]
    monkeypatch.setattr(method, "_chosen", lambda _: chosen)
    method.channels = torch.arange(10)
    maps = LayerMaps(torch.empty(20, sum(c * h * w for c, h, w in shapes)), shapes)
    for _, vectors in method._blocks(maps, "drawn"):
        centred = vectors - vectors.mean(dim=1)[:, None]
        assert method._whitening(centred, 19).device == GPU


def test_standardisation(apple: None) -> None:
    with GPU:
        block = Standardisation(24)
    block.fit(torch.empty(20, 24, 28, 28, device=GPU))
    assert block.deviation.device == GPU


def test_auto_takes_it_where_torch_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert devices.best() == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert devices.best() == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.best() == "cuda"
