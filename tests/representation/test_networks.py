from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from reconpatch.representation.file import load_representation_layer
from reconpatch.representation.networks import RepresentationNetwork, update_average
from reconpatch.settings.representation import RepresentationSettings
from reconpatch.utils.errors import InputError
from tests import naive

SETTINGS = RepresentationSettings(dimension=4, projection_dimension=3)


def network(seed: int, settings: RepresentationSettings = SETTINGS) -> RepresentationNetwork:
    return RepresentationNetwork(6, settings, seed)


@pytest.mark.parametrize("gamma", [0.0, 0.9, 1.0])
def test_the_average_moves_by_equation_8_over_f_and_g_and_takes_no_gradient(gamma: float) -> None:
    uniform = SETTINGS.model_copy(update={"initialization": "uniform"})
    average, trained = network(1, uniform).double(), network(2, uniform).double()
    average.requires_grad_(False)
    expected = [
        naive.eq8_moving_average(old.flatten().tolist(), new.flatten().tolist(), gamma)
        for old, new in zip(average.parameters(), trained.parameters(), strict=True)
    ]
    before = [new.clone() for new in trained.parameters()]
    update_average(average, trained, gamma)
    moved = list(average.parameters())
    assert len(moved) == 4
    for parameter, wanted in zip(moved, expected, strict=True):
        np.testing.assert_allclose(parameter.flatten().tolist(), wanted, rtol=1e-13)
        assert parameter.is_leaf
        assert not parameter.requires_grad
    assert all(torch.equal(a, b) for a, b in zip(before, trained.parameters(), strict=True))


def test_z_is_g_of_f_and_g_may_be_left_out() -> None:
    patches = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    both = network(3)
    f, g = both.f, both.g
    by_hand = (patches @ f.weight.T + f.bias) @ g.weight.T + g.bias
    torch.testing.assert_close(both(patches), by_hand)

    alone = network(3, SETTINGS.model_copy(update={"projection_dimension": None}))
    torch.testing.assert_close(alone(patches), patches @ alone.f.weight.T + alone.f.bias)


def test_an_orthogonal_f_of_full_width_keeps_all_distances() -> None:
    wide = RepresentationNetwork(6, RepresentationSettings(dimension=9), seed=0)
    patches = torch.randn(7, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(torch.pdist(wide.f(patches)), torch.pdist(patches))


def test_the_seed_alone_decides_the_initial_weights() -> None:
    state = torch.get_rng_state()
    first = network(7).f.weight
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    assert torch.equal(network(7).f.weight, first)
    assert not torch.equal(network(8).f.weight, first)


def test_f_comes_back_from_its_file_bit_for_bit(tmp_path: Path) -> None:
    saved = network(4)
    save_file(saved.state_dict(), tmp_path / "representation.safetensors")
    loaded = load_representation_layer(tmp_path / "representation.safetensors")
    assert torch.equal(loaded.weight, saved.f.weight)
    assert torch.equal(loaded.bias, saved.f.bias)
    assert [path.name for path in tmp_path.iterdir()] == ["representation.safetensors"]


@pytest.mark.parametrize("damage", ["absent", "empty", "truncated", "other tensors"])
def test_a_damaged_representation_is_named_and_not_loaded(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "representation.safetensors"
    save_file(network(4).state_dict(), path)
    whole = path.read_bytes()
    if damage == "absent":
        path.unlink()
    elif damage == "other tensors":
        save_file({"g.weight": torch.zeros(2, 2)}, path)
    else:
        path.write_bytes(whole[: -8 if damage == "truncated" else 0])
    with pytest.raises(InputError, match=r"representation\.safetensors"):
        load_representation_layer(path)
