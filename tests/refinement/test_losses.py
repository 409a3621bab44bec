import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reconpatch.refinement.losses import focal_loss, l1_loss
from tests import naive

pixels = st.lists(st.tuples(st.floats(-12, 12), st.integers(0, 1)), min_size=1, max_size=12)


@given(pixels=pixels, gamma=st.sampled_from([0.0, 0.5, 2.0, 4.0]), alpha=st.floats(0, 1))
def test_losses_are_what_their_formulas_give(
    pixels: list[tuple[float, int]], gamma: float, alpha: float
) -> None:
    logits, masks = ([float(v) for v in side] for side in zip(*pixels, strict=True))
    given = [torch.tensor(side, dtype=torch.float64) for side in (logits, masks)]
    labels = [int(mask) for mask in masks]
    focal = focal_loss(*given, gamma, alpha)
    assert focal.item() == pytest.approx(naive.focal_loss(logits, labels, gamma, alpha), rel=1e-9)
    assert l1_loss(*given).item() == pytest.approx(naive.l1_loss(logits, labels), rel=1e-9)


def test_without_focus_it_is_cross_entropy_and_far_log_odds_stay_finite() -> None:
    logits = torch.tensor([0.3, -2.0, 1.0], dtype=torch.float64)
    masks = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, masks) / 2
    torch.testing.assert_close(focal_loss(logits, masks, 0, 0.5), expected)
    far = torch.tensor([200.0, -200.0], requires_grad=True)
    loss = focal_loss(far, torch.tensor([0.0, 1.0]), 2, 0.5)
    loss.backward()
    assert math.isclose(loss.item(), 100, rel_tol=1e-6)
    assert torch.isfinite(far.grad).all()
