import pytest
import torch

from benchmarks.data import clusters
from benchmarks.peers import (
    approximate_greedy,
    dense_labels,
    dense_loss,
    looped_labels,
    matrix_products,
    plain_greedy,
)
from benchmarks.training import TOLERANCE, largest_difference
from reconpatch.detection.coreset import greedy_coreset
from reconpatch.representation.loss import relaxed_contrastive_loss
from reconpatch.representation.similarity import pseudo_labels
from reconpatch.settings.representation import RepresentationSettings


@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_the_plain_greedy_rule_takes_the_same_points_in_the_same_order(offset: float) -> None:
    features = offset + clusters(500, 16)
    plain = plain_greedy(features, 60, 7)
    assert plain.tolist() == greedy_coreset(features, 60, 7, contenders=40).tolist()


def test_the_approximate_greedy_rule_covers_the_features_nearly_as_well() -> None:
    features = clusters(400, 32)
    taken = approximate_greedy(features, 20, seed=0)
    assert len(set(taken.tolist())) == 20
    approximate, plain = (
        torch.cdist(features, features[chosen]).amin(dim=1).max()
        for chosen in (taken, plain_greedy(features, 20, 0))
    )
    assert approximate < 1.5 * plain


@pytest.mark.parametrize("labels_of", [dense_labels, looped_labels])
@pytest.mark.parametrize(
    "settings",
    [
        RepresentationSettings(),
        RepresentationSettings(include_self=False, half_set_rounding="down", alpha=0.2),
        RepresentationSettings(sigma_unit="mean_squared_distance", k=8),
    ],
)
def test_the_other_forms_of_the_labels_agree(labels_of, settings: RepresentationSettings) -> None:  # type: ignore[no-untyped-def]
    zbar = clusters(96, 12)
    torch.testing.assert_close(labels_of(zbar, settings), pseudo_labels(zbar, settings))


def test_the_dense_loss_and_its_gradient_agree() -> None:
    z = clusters(96, 12).requires_grad_()
    labels = pseudo_labels(z.detach(), RepresentationSettings())
    ours = relaxed_contrastive_loss(z, labels, 1.0)
    dense = dense_loss(z, labels, 1.0)
    torch.testing.assert_close(ours, dense)
    torch.testing.assert_close(torch.autograd.grad(ours, z), torch.autograd.grad(dense, z))


def test_the_benchmarks_own_check_of_both_holds() -> None:
    assert largest_difference(clusters(128, 24)) < TOLERANCE


def test_the_products_of_a_step_run() -> None:
    matrix_products(32, 16, RepresentationSettings(dimension=8, projection_dimension=8))()
