import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from reconpatch.representation.loss import relaxed_contrastive_loss
from tests import naive


def batch(seed: int, rows: int) -> tuple[Tensor, Tensor]:
    """Float64 embeddings and symmetric labels."""
    rng = np.random.default_rng(seed)
    labels = torch.from_numpy(rng.uniform(size=(rows, rows)))
    z = torch.from_numpy(rng.normal(size=(rows, 3))).requires_grad_()
    return z, (labels + labels.T) / 2


@given(
    seed=st.integers(0, 2**32),
    rows=st.integers(2, 7),
    margin=st.sampled_from([0.5, 1.0, 2.0]),
    detach=st.booleans(),
    duplicates=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_value_and_gradient_are_those_of_equation_7(
    seed: int, rows: int, margin: float, detach: bool, duplicates: bool
) -> None:
    z, labels = batch(seed, rows)
    if duplicates and rows > 2:
        z = torch.cat([z[1:2], z[1:]]).detach().requires_grad_()
    expected = naive.eq7_relaxed_contrastive_loss(
        z, labels.tolist(), margin, detach_mean_distance=detach
    )
    (expected_gradient,) = torch.autograd.grad(expected, z)
    loss = relaxed_contrastive_loss(z, labels, margin, detach_mean_distance=detach)
    # Backwards from three times the loss, so that the incoming gradient counts.
    (gradient,) = torch.autograd.grad(3 * loss, z)
    # Rounding leaves duplicates some 1e-8 apart, and the square root of that enters the loss.
    tolerance = {"atol": 1e-6, "rtol": 1e-6} if duplicates else {"atol": 1e-11, "rtol": 1e-9}
    torch.testing.assert_close(loss, expected, **tolerance)
    torch.testing.assert_close(gradient, 3 * expected_gradient, **tolerance)


def test_gradient_is_the_slope_of_finite_differences() -> None:
    z, labels = batch(seed=11, rows=8)
    assert torch.autograd.gradcheck(lambda z: relaxed_contrastive_loss(z, labels, 1.2), z)


def test_a_detached_mean_distance_changes_the_gradient_and_not_the_value() -> None:
    z, labels = batch(seed=12, rows=8)
    kept = relaxed_contrastive_loss(z, labels, 1.0)
    detached = relaxed_contrastive_loss(z, labels, 1.0, detach_mean_distance=True)
    assert kept == detached
    (slope,) = torch.autograd.grad(kept, z)
    (slope_detached,) = torch.autograd.grad(detached, z)
    assert (slope - slope_detached).abs().max() > 1e-3
    # Relative distances do not change when the embeddings are stretched, so neither does the loss.
    assert abs((slope * z).sum()) < 1e-12


def test_pseudo_labels_get_no_gradient() -> None:
    z, labels = batch(seed=13, rows=4)
    relaxed_contrastive_loss(z, labels.requires_grad_(), 1.0).backward()
    assert labels.grad is None


@pytest.mark.parametrize("distinct", [1, 2, 5])
def test_duplicates_leave_single_precision_loss_and_gradient_finite(distinct: int) -> None:
    rng = np.random.default_rng(distinct)
    # Eight copies have exactly their mean, so that one distinct row leaves no distance at all.
    rows = np.repeat(rng.normal(size=(distinct, 16)).astype(np.float32), 8, axis=0)
    z = torch.from_numpy(rows).requires_grad_()
    labels = torch.from_numpy(rng.uniform(size=(len(z), len(z)))).float()
    loss = relaxed_contrastive_loss(z, labels, 1.0)
    loss.backward()
    assert loss.isfinite()
    assert z.grad is not None
    assert z.grad.isfinite().all()


def test_single_precision_keeps_value_and_gradient_to_a_few_of_its_digits() -> None:
    z, labels = batch(seed=14, rows=16)
    single = z.detach().float().requires_grad_()
    exact = single.detach().double().requires_grad_()
    loss = relaxed_contrastive_loss(single, labels.float(), 1.0)
    expected = naive.eq7_relaxed_contrastive_loss(exact, labels.float().tolist(), 1.0)
    (gradient,) = torch.autograd.grad(loss, single)
    (expected_gradient,) = torch.autograd.grad(expected, exact)
    # Some tens of roundings of 6e-8, each of terms no larger than the gradient by far.
    torch.testing.assert_close(loss.double(), expected, rtol=2e-6, atol=0)
    assert (gradient - expected_gradient).norm() < 1e-5 * expected_gradient.norm()
