"""Coupling blocks against their equations written out, and against autograd's Jacobian."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reconpatch.methods.coupling import CouplingBlock, Flow, Permutation, Rotation


def dense(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 6), nn.Tanh(), nn.Linear(6, outputs))


def convolved(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.Tanh())


def random_block(
    channels: int, network: Callable[[int, int], nn.Module], condition: int = 0
) -> CouplingBlock:
    """A block in double precision whose every parameter is far from where it starts."""
    torch.manual_seed(0)
    mixing = Permutation if network is convolved else Rotation
    block = CouplingBlock(channels, network, mixing, clamp=1.9, condition=condition).double()
    with torch.no_grad():
        block.scale += torch.linspace(-9, 4, channels)
        block.shift += torch.linspace(-1, 2, channels)
        for parameter in block.network.parameters():
            parameter *= 8
    if isinstance(block.mix, Rotation):
        # What was drawn in single precision is orthogonal to that precision alone.
        nn.init.orthogonal_(block.mix.matrix)
    return block


def naive_inverse(block: CouplingBlock, y: Tensor, condition: Tensor | None = None) -> Tensor:
    """x of y, by the equations solved for it, channel by channel."""
    if isinstance(block.mix, Rotation):
        mixed = y @ torch.linalg.inv(block.mix.matrix).T
    else:
        mixed = torch.empty_like(y)
        for to, origin in enumerate(block.mix.order.tolist()):
            mixed[:, origin] = y[:, to]
    for channel in range(y.shape[1]):
        scale = 0.1 * torch.log(1 + torch.exp(0.5 * block.scale[channel])) / 0.5
        mixed[:, channel] = (mixed[:, channel] - block.shift[channel]) / scale
    count = y.shape[1] - y.shape[1] // 2
    first, second = mixed[:, :count], mixed[:, count:]
    given = first if condition is None else torch.cat([first, condition], dim=1)
    a = block.network(given) / 10
    s, t = a[:, : second.shape[1]], a[:, second.shape[1] :]
    return torch.cat([first, (second - t) / torch.exp(1.9 * torch.tanh(s))], dim=1)


@pytest.mark.parametrize("channels", [4, 5])
def test_a_block_of_vectors_inverts_and_has_autograds_determinant(channels: int) -> None:
    block = random_block(channels, dense, condition=3)
    x, condition = torch.randn(6, channels).double(), torch.randn(6, 3).double()
    y, log_determinant = block(x, condition)
    torch.testing.assert_close(naive_inverse(block, y, condition), x, rtol=1e-9, atol=1e-9)
    for i in range(len(x)):
        given = condition[i : i + 1]

        def one(row: Tensor, given: Tensor = given) -> Tensor:
            return block(row[None], given)[0][0]

        jacobian = torch.autograd.functional.jacobian(one, x[i])
        expected = torch.linalg.slogdet(jacobian).logabsdet
        assert log_determinant[i].item() == pytest.approx(expected.item(), rel=1e-9)
    assert log_determinant.std() > 0.1


def test_a_block_of_maps_inverts_and_its_places_sum_to_autograds_determinant() -> None:
    block = random_block(5, convolved)
    x = torch.randn(2, 5, 3, 4).double()
    y, log_determinant = block(x)
    assert log_determinant.shape == (2, 3, 4)
    torch.testing.assert_close(naive_inverse(block, y), x, rtol=1e-9, atol=1e-9)
    jacobian = torch.autograd.functional.jacobian(lambda image: block(image[None])[0], x[0])
    expected = torch.linalg.slogdet(jacobian.reshape(60, 60)).logabsdet
    assert log_determinant[0].sum().item() == pytest.approx(expected.item(), rel=1e-9)


def test_a_flows_likelihood_is_that_of_the_change_of_variables() -> None:
    blocks = [random_block(4, dense), random_block(4, dense)]
    nn.init.orthogonal_(blocks[1].mix.matrix)
    x = torch.randn(5, 4).double()
    found = Flow(blocks)(x)
    for i, row in enumerate(x):

        def mapped(vector: Tensor) -> Tensor:
            return blocks[1](blocks[0](vector[None])[0])[0][0]

        z = mapped(row).detach().numpy()
        volume = abs(np.linalg.det(torch.autograd.functional.jacobian(mapped, row).numpy()))
        density = np.prod(np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)) * volume
        assert found[i].item() == pytest.approx(np.log(density), rel=1e-9)


def test_a_new_block_mixes_and_all_but_keeps_volumes() -> None:
    torch.manual_seed(1)
    block = CouplingBlock(8, dense, Rotation, clamp=2)
    matrix = block.mix.matrix
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(8), rtol=0, atol=1e-5)
    assert not torch.equal(matrix, Rotation(8).matrix)
    assert block(torch.randn(9, 8))[1].abs().max() < 1
    assert sorted(Permutation(8).order.tolist()) == list(range(8))
