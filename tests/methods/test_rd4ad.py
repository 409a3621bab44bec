"""RD4AD against the paper's equations written out; its networks mirror any teacher."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.features.layer_maps import LayerMaps, Shape
from reconpatch.methods.method import TrainingSet
from reconpatch.methods.rd4ad import RD4AD
from reconpatch.methods.rd4ad_network import ReverseDistillation
from reconpatch.utils.errors import InputError
from tests.methods.layer_maps import made_up

CPU = torch.device("cpu")
TRAINING = TrainingSet(made_up(5, 0), 3, "made up")
TEST = made_up(3, 1)
WIDE_RESNET_50: list[Shape] = [(256, 56, 56), (512, 28, 28), (1024, 14, 14)]


def fitted(training: TrainingSet = TRAINING, **settings: object) -> RD4AD:
    recipe = {"features": {"resize": 40, "crop": 40}, "epochs": 2, "batch_size": 4, **settings}
    method = RD4AD(RD4AD.Recipe.model_validate(recipe), CPU)
    method.fit(training)
    return method


def students(method: RD4AD, maps: LayerMaps) -> list[npt.NDArray[np.float64]]:
    with torch.no_grad():
        return [layer.double().numpy() for layer in method.network(method.on_device(maps))]


def cosine(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    return float((one * other).sum() / (one**2).sum() ** 0.5 / (other**2).sum() ** 0.5)


def test_the_loss_is_that_of_the_equations() -> None:
    method = fitted()
    method.network.eval()
    expected = 0.0
    for own, layer in zip(students(method, TEST), TEST.layers(), strict=True):
        for image, teacher in zip(own, layer.double().numpy(), strict=True):
            expected += (1 - cosine(image, teacher)) / len(TEST)
    (loss,) = method.losses(method.on_device(TEST), np.random.default_rng(0))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_scores_are_those_of_the_equations() -> None:
    method = fitted()
    found = method.score(TEST)
    expected = np.zeros(TEST.shape)
    for own, layer in zip(students(method, TEST), TEST.layers(), strict=True):
        teacher = layer.double().numpy()
        differ = np.zeros((len(own), *own.shape[2:]))
        for n, y, x in np.ndindex(differ.shape):
            differ[n, y, x] = 1 - cosine(own[n, :, y, x], teacher[n, :, y, x])
        grid = torch.from_numpy(differ)[:, None]
        expected += interpolate(grid, TEST.shape[1:], mode="bilinear", align_corners=True).numpy()[
            :, 0
        ]
    np.testing.assert_allclose(found.patches, expected, rtol=1e-4)
    smooth = anomaly_maps(expected.astype(np.float32), 40, method.recipe.maps)
    np.testing.assert_allclose(found.images, smooth.max(axis=(1, 2)), rtol=1e-4)


def resnet_like(wide: bool) -> Iterator[tuple[str, int]]:
    """Parameters of the paper's networks for WideResNet-50 or ResNet-18, part by part."""

    def conv(inputs: int, width: int, size: int) -> int:
        return inputs * width * size**2 + 2 * width

    def block(inputs: int, width: int, middle: int) -> int:
        """The middle's size is 3, or 2 where it doubles the grid."""
        past = 0
        if middle == 2 or inputs != width:
            past = conv(inputs, width, 2 if middle == 2 else 1)
        if wide:
            half = width // 2
            return past + conv(inputs, half, 1) + conv(half, half, middle) + conv(half, width, 1)
        return past + conv(inputs, width, middle) + conv(width, width, 3)

    first, second, third = (256, 512, 1024) if wide else (64, 128, 256)
    yield "fusion", conv(first, second, 3) + 2 * 0 + conv(second, third, 3) * 2
    deepest = 2 * third
    others = 2 if wide else 1
    yield "embedding", block(3 * third, deepest, 3) + others * block(deepest, deepest, 3)
    depths = (3, 4, 6) if wide else (2, 2, 2)
    widths = (deepest, third, second, first)
    yield (
        "decoder",
        sum(
            block(inputs, width, 2) + (depth - 1) * block(width, width, 3)
            for inputs, width, depth in zip(widths, widths[1:], depths, strict=False)
        ),
    )


@pytest.mark.parametrize("wide", [True, False], ids=["WideResNet-50", "ResNet-18"])
def test_the_networks_are_as_large_as_the_papers(wide: bool) -> None:
    with torch.device("meta"):
        network = ReverseDistillation((256, 512, 1024) if wide else (64, 128, 256))
    for name, expected in resnet_like(wide):
        part = network.get_submodule(name)
        assert sum(p.numel() for p in part.parameters()) == expected, name


def test_the_student_has_the_shapes_of_its_teacher() -> None:
    odd: list[Shape] = [(4, 9, 7), (6, 5, 4), (8, 3, 2)]
    for shapes in (odd, odd[:1], WIDE_RESNET_50[2:]):
        maps = [torch.randn(2, *shape) for shape in shapes]
        with torch.device("meta"):
            network = ReverseDistillation([channels for channels, _, _ in shapes])
        found = network([layer.to("meta") for layer in maps])
        assert [layer.shape for layer in found] == [layer.shape for layer in maps]


def test_its_maps_are_rectified_where_the_teachers_are() -> None:
    maps = made_up(5, 0)
    layers = maps.layers()
    layers[1].relu_()
    method = fitted(TrainingSet(maps, 0, ""))
    negative = [layer.min() < 0 for layer in students(method, maps)]
    assert negative == [True, False, True]


def test_layers_that_do_not_follow_each_other_are_named() -> None:
    shapes: list[Shape] = [(3, 8, 8), (5, 2, 2)]
    with pytest.raises(InputError, match=r"\[8, 8\] is followed by \[2, 2\]"):
        fitted(TrainingSet(made_up(4, 0, shapes), 0, ""))


def test_what_breaks_the_rule_of_normal_images_scores_higher() -> None:
    """The second channel of each layer repeats the first, but at one place of a test image."""
    shapes: list[Shape] = [(4, 8, 8), (6, 4, 4), (8, 2, 2)]
    rng = np.random.default_rng(0)
    pattern = [torch.from_numpy(rng.normal(size=shape)).float() for shape in shapes]

    def images(count: int) -> LayerMaps:
        light = torch.from_numpy(rng.uniform(0.5, 1.5, (count, 1, 1, 1))).float()
        noise = made_up(count, int(rng.integers(1000)), shapes).layers()
        made = [light * p + 0.05 * n for p, n in zip(pattern, noise, strict=True)]
        return LayerMaps(torch.cat([m.flatten(1) for m in made], dim=1), shapes)

    method = fitted(TrainingSet(images(24), 0, ""), epochs=30, batch_size=8)
    test = images(4)
    test.layers()[0][3, :, 2:4, 2:4] *= -1
    scores = method.score(test)
    assert scores.images[3] > 1.5 * scores.images[:3].max()
    assert np.unravel_index(scores.patches[3].argmax(), (8, 8)) in [
        (y, x) for y in (2, 3) for x in (2, 3)
    ]


def test_convolutions_start_as_the_papers_do() -> None:
    torch.manual_seed(0)
    network = ReverseDistillation((64, 128, 256))
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    for module in convolutions:
        weight: Tensor = module.weight
        fan_out = module.out_channels * module.kernel_size[0] ** 2
        assert weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.02)
