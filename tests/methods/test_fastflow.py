"""FastFlow's likelihood against the change of variables, and its scores place by place."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reconpatch.features.layer_maps import LayerMaps, Shape, pack
from reconpatch.methods.fastflow import FastFlow
from reconpatch.methods.method import Sizes, TrainingSet
from tests.methods.layer_maps import SHAPES, made_up

CPU = torch.device("cpu")
TEST = made_up(3, 1)


def fitted(shapes: tuple[Shape, ...] = SHAPES, images: int = 7, **settings: object) -> FastFlow:
    recipe = {
        "features": {"resize": 40, "crop": 40},
        "steps": 3,
        "epochs": 2,
        "batch_size": 3,
        "learning_rate": 0.02,
        **settings,
    }
    method = FastFlow(FastFlow.Recipe.model_validate(recipe), CPU)
    maps = made_up(images, 0, shapes)
    method.fit(TrainingSet(LayerMaps(3 * maps.packed + 1, shapes), 3, "made up"))
    return method


def naive_z(flow: nn.Module, x: Tensor) -> Tensor:
    """What a flow makes of maps."""
    for block in flow.blocks:
        x, _ = block(x)
    return x


def test_a_places_scores_sum_to_an_images_negative_log_likelihood() -> None:
    method = fitted(((5, 3, 4),))
    flow = method.network.double()[0]
    image = made_up(1, 1, ((5, 3, 4),)).layers()[0][0].double()
    jacobian = torch.autograd.functional.jacobian(lambda x: naive_z(flow, x[None])[0], image)
    z = naive_z(flow, image[None]).detach().numpy().ravel()
    _, log_determinant = np.linalg.slogdet(jacobian.reshape(60, 60).numpy())
    density = -0.5 * np.sum(z**2) - 30 * math.log(2 * math.pi) + log_determinant
    found = method.patch_scores([image[None]]).sum().item()
    assert found == pytest.approx(-density, rel=1e-9)
    loss = next(method.losses([image[None]], np.random.default_rng(0)))
    assert loss.item() == pytest.approx(-density, rel=1e-9)


def test_layers_are_upsampled_and_averaged() -> None:
    method = fitted()
    method.network.double()
    maps = [layer.double() for layer in TEST.layers()]
    alone = [
        -flow(layer).detach().numpy() for flow, layer in zip(method.network, maps, strict=True)
    ]
    expected = np.zeros((3, 4, 6))
    for scores in alone:
        h, w = scores.shape[1:]
        for y in range(4):
            for x in range(6):
                down = np.clip((y + 0.5) * h / 4 - 0.5, 0, h - 1)
                right = np.clip((x + 0.5) * w / 6 - 0.5, 0, w - 1)
                for i in range(h):
                    for j in range(w):
                        weight = max(0, 1 - abs(down - i)) * max(0, 1 - abs(right - j))
                        expected[:, y, x] += weight * scores[:, i, j] / 3
    np.testing.assert_allclose(method.patch_scores(maps).detach().numpy(), expected, rtol=1e-9)
    loss = next(method.losses(maps, np.random.default_rng(0))).item()
    assert loss == pytest.approx(sum(scores.sum() for scores in alone) / 3)


def test_channels_are_standardised_by_the_training_images() -> None:
    method = fitted(images=40)
    standardised = method.network[0].blocks[0](3 * made_up(40, 0).layers()[0] + 1)[0]
    torch.testing.assert_close(standardised.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(standardised.var(dim=(0, 2, 3)), torch.ones(3), atol=1e-2, rtol=0)
    # A channel that never changes has a deviation too.
    dead = torch.cat([torch.randn(5, 1, 2, 2), torch.ones(5, 1, 2, 2)], dim=1)
    maps = LayerMaps(pack([dead]), [(2, 2, 2)])
    method.fit(TrainingSet(maps, 0, ""))
    assert np.isfinite(method.score(maps).patches).all()


@pytest.mark.parametrize(("kernels", "sizes"), [("3x3 and 1x1", [3, 1, 3]), ("3x3", [3, 3, 3])])
def test_kernels_take_turns(kernels: str, sizes: list[int]) -> None:
    method = fitted(kernels=kernels, hidden_ratio=2.0)
    convolutions = [m for m in method.network[2].modules() if isinstance(m, nn.Conv2d)]
    assert [c.kernel_size[0] for c in convolutions[::2]] == sizes
    assert [c.kernel_size[0] for c in convolutions[1::2]] == sizes
    # Of 5 channels, 3 are given and 2 changed.
    assert {(c.in_channels, c.out_channels) for c in convolutions} == {(3, 6), (6, 4)}


def test_what_is_not_as_the_training_images_scores_higher() -> None:
    def pairs(count: int, seed: int, sign: float) -> LayerMaps:
        """Maps of two channels, the second of which is the first, or its negative."""
        first = np.random.default_rng(seed).normal(size=(count, 1, 4, 4))
        return LayerMaps(
            pack([torch.from_numpy(np.concatenate([first, sign * first], axis=1)).float()]),
            [(2, 4, 4)],
        )

    training = TrainingSet(pairs(32, 0, 1), 0, "pairs")
    method = FastFlow(FastFlow.Recipe(epochs=40, batch_size=8, learning_rate=0.02), CPU)
    method.fit(training)
    assert method.score(pairs(5, 1, -1)).images.min() > method.score(pairs(5, 1, 1)).images.max()


def test_it_takes_what_it_says() -> None:
    method = fitted()
    sizes = Sizes(7, 3, 24, made_up(1, 0).packed.shape[1] // 24, SHAPES)
    needs = FastFlow.needs(method.recipe, sizes, on_gpu=False)
    assert needs.steps == 2 * 2
    assert needs.model_bytes == sum(tensor.nbytes for tensor in method.tensors().values())
