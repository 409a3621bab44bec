"""AdamP in three hands: the package that its authors wrote, timm's, and ours without a branch."""

import copy
from typing import Literal

import adamp
import pytest
import timm.optim
import torch
from torch import Tensor
from torch.nn import Parameter

from reconpatch.representation.adamp import CapturableAdamP

STEPS = 200
Gradients = Literal["any", "across channels", "across the weight", "in turns"]
CASES = pytest.mark.parametrize(
    ("gradients", "nesterov", "weight_decay"),
    [
        ("any", True, 0.01),
        ("any", False, 0.0),
        ("across channels", True, 0.5),
        ("across channels", False, 0.01),
        ("across the weight", True, 0.5),
        ("across the weight", False, 0.01),
        ("in turns", True, 0.5),
    ],
)


def weights(seed: int) -> list[Parameter]:
    """f and g, and a convolution, whose channels are matrices."""
    rng = torch.Generator().manual_seed(seed)
    shapes = (48, 96), (48,), (20, 48), (20,), (6, 3, 5, 5)
    return [Parameter(torch.randn(shape, generator=rng)) for shape in shapes]


def gradient(p: Tensor, kind: Gradients, step: int, rng: torch.Generator) -> Tensor:
    """Draw a gradient; one across a weight is at right angles to it, so that AdamP projects."""
    drawn = torch.randn(p.shape, generator=rng)
    if kind == "in turns":
        kind = ("any", "across channels", "across the weight")[step % 3]
    if p.dim() == 1 or kind == "any":
        # Never by chance at right angles to a weight.
        return drawn + p
    flat, weight = drawn.flatten(1), p.flatten(1)
    if kind == "across channels":
        along = (flat * weight).sum(1, keepdim=True) / weight.square().sum(1, keepdim=True)
    else:
        along = (flat * weight).sum() / weight.square().sum()
    return (flat - along * weight).view_as(p)


def trained(
    seed: int, kind: Gradients, *optimizers: tuple[type[torch.optim.Optimizer], dict[str, object]]
) -> list[list[Parameter]]:
    """Take the steps with several optimisers; each sees the gradients drawn for the first."""
    start = weights(seed)
    found = [copy.deepcopy(start) for _ in optimizers]
    made = [
        optimizer(parameters, **options)
        for parameters, (optimizer, options) in zip(found, optimizers, strict=True)
    ]
    rng = torch.Generator().manual_seed(seed + 1)
    for step in range(STEPS):
        drawn = [gradient(p.detach(), kind, step, rng) for p in found[0]]
        for optimizer, parameters in zip(made, found, strict=True):
            for p, each in zip(parameters, drawn, strict=True):
                p.grad = each.clone()
            optimizer.step()
    assert all((p - q).abs().max() > 0.1 for p, q in zip(start, found[0], strict=True))
    return found


@CASES
def test_the_package_has_the_bits_of_timm(
    gradients: Gradients, nesterov: bool, weight_decay: float
) -> None:
    options = {"lr": 1e-2, "nesterov": nesterov, "weight_decay": weight_decay}
    package, timms = trained(0, gradients, (adamp.AdamP, options), (timm.optim.AdamP, options))
    assert all(torch.equal(p, q) for p, q in zip(package, timms, strict=True))


@CASES
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_without_a_branch_it_takes_the_steps_of_the_package(
    gradients: Gradients,
    nesterov: bool,
    weight_decay: float,
    seed: int,
    dtype: torch.dtype,
    tolerance: float,
) -> None:
    options = {"nesterov": nesterov, "weight_decay": weight_decay}
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        package, ours = trained(
            seed,
            gradients,
            (adamp.AdamP, {"lr": 1e-2, **options}),
            (CapturableAdamP, {"rates": [1e-2] * STEPS, **options}),
        )
    finally:
        torch.set_default_dtype(before)
    for p, q in zip(package, ours, strict=True):
        assert p.dtype == dtype
        torch.testing.assert_close(q, p, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("gradients", "channels", "weight"),
    [("any", False, False), ("across channels", True, True), ("across the weight", False, True)],
)
def test_a_step_across_a_weight_loses_what_lies_along_it(
    gradients: Gradients, channels: bool, weight: bool
) -> None:
    """The cases above are what they say: projected by channel, as a whole, or not at all."""
    (p, *_), rng = weights(0), torch.Generator().manual_seed(1)
    start = p.detach().clone()
    optimizer = CapturableAdamP([p], [1e-2], wd_ratio=0.0, weight_decay=1.0)
    p.grad = gradient(start, gradients, 0, rng)
    optimizer.step()
    moved = p.detach() - start
    assert ((moved * start).sum(1).abs().max() < 1e-5) == channels
    assert ((moved * start).sum().abs() < 1e-4) == weight


def test_each_step_has_its_own_learning_rate() -> None:
    package, ours = ([Parameter(torch.ones(3, 4))] for _ in range(2))
    theirs = adamp.AdamP(package, weight_decay=0.1)
    mine = CapturableAdamP(ours, [0.1, 0.0, 0.01], weight_decay=0.1)
    for rate in (0.1, 0.0, 0.01):
        theirs.param_groups[0]["lr"] = rate
        before = ours[0].detach().clone()
        for (p,), optimizer in ((package, theirs), (ours, mine)):
            p.grad = torch.arange(12.0).view(3, 4) - 4
            optimizer.step()
        torch.testing.assert_close(ours, package)
        assert torch.equal(before, ours[0]) == (rate == 0)
