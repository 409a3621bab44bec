import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch import Tensor

from reconpatch.representation.similarity import (
    add_symmetric,
    label_spread,
    nearest_neighbours,
    pairwise_similarity,
    pseudo_labels,
    query_expansion,
    reciprocal_neighbours,
    shared_neighbours,
    squared_distances,
)
from reconpatch.settings.representation import RepresentationSettings
from tests import naive


@st.composite
def neighbourhoods(draw: st.DrawFn) -> tuple[Tensor, RepresentationSettings]:
    """Float64 embeddings without ties, and settings whose neighbourhoods fit them."""
    rows = draw(st.integers(3, 14))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    zbar = torch.from_numpy(rng.normal(size=(rows, draw(st.integers(1, 4)))))
    rounding = draw(st.sampled_from(["down", "up"]))
    chosen = RepresentationSettings(
        k=draw(st.integers(2 if rounding == "down" else 1, rows - 1)),
        batch_size=rows,
        include_self=draw(st.booleans()),
        half_set_rounding=rounding,
        sigma=draw(st.sampled_from([0.3, 1.0, 7.0])),
        sigma_unit=draw(st.sampled_from(["absolute", "mean_squared_distance"])),
        alpha=draw(st.sampled_from([0.0, 0.3, 1.0])),
        neighbour_set=draw(st.sampled_from(["nearest", "reciprocal"])),
        half_set=draw(st.sampled_from(["nearest", "reciprocal"])),
    )
    return zbar, chosen


def naive_half(chosen: RepresentationSettings) -> int:
    return (math.ceil if chosen.half_set_rounding == "up" else math.floor)(chosen.k / 2)


def naive_labels(zbar: Tensor, chosen: RepresentationSettings) -> Tensor:
    rows = zbar.double().tolist()
    unit = 1.0 if chosen.sigma_unit == "absolute" else naive.mean_squared_distance(rows)
    labels = naive.eq6_pseudo_labels(
        naive.eq1_pairwise_similarity(rows, chosen.sigma * unit),
        naive.contextual_similarity(
            rows,
            chosen.k,
            naive_half(chosen),
            include_self=chosen.include_self,
            reciprocal_sets=chosen.neighbour_set == "reciprocal",
            reciprocal_half=chosen.half_set == "reciprocal",
        ),
        chosen.alpha,
    )
    return torch.tensor(labels, dtype=torch.float64)


def dense(columns: Tensor, values: Tensor) -> Tensor:
    """The matrix whose terms are listed row by row."""
    matrix = values.new_zeros(len(columns), len(columns))
    for row, (places, terms) in enumerate(zip(columns.tolist(), values.tolist(), strict=True)):
        for place, term in zip(places, terms, strict=True):
            matrix[row, place] += term
    return matrix


@given(drawn=neighbourhoods())
@settings(max_examples=30, deadline=None)
def test_equations_1_to_5_follow_the_sets(drawn: tuple[Tensor, RepresentationSettings]) -> None:
    zbar, chosen = drawn
    rows, own = zbar.tolist(), chosen.include_self
    size = range(len(rows))
    with naive.double_precision():
        squared = squared_distances(zbar)
        torch.testing.assert_close(
            pairwise_similarity(squared, chosen.sigma),
            torch.tensor(naive.eq1_pairwise_similarity(rows, chosen.sigma)),
        )

        found = nearest_neighbours(squared, chosen.k, include_self=own)
        sets = naive.neighbour_sets(rows, chosen.k, include_self=own)
        assert [set(row) for row in found.tolist()] == sets

        shared = shared_neighbours(found)
        expected = naive.eq2_shared_neighbours(sets)
        assert shared.tolist() == [[expected[i][j] for j in found[i].tolist()] for i in size]

        mask = reciprocal_neighbours(found).tolist()
        reciprocal = [
            {j for j, both in zip(found[i].tolist(), mask[i], strict=True) if both} for i in size
        ]
        assert reciprocal == naive.eq3_reciprocal_neighbours(sets)

        half = naive.neighbour_sets(rows, naive_half(chosen), include_self=own)
        listed = found[:, : naive_half(chosen)]
        columns, values = query_expansion(found, shared, listed, reciprocal_neighbours(listed))
        torch.testing.assert_close(
            dense(columns, values),
            torch.tensor(
                naive.eq4_query_expansion(expected, naive.eq3_reciprocal_neighbours(half))
            ),
        )
        torch.testing.assert_close(
            add_symmetric(torch.zeros_like(squared), columns, values),
            torch.tensor(
                naive.contextual_similarity(rows, chosen.k, naive_half(chosen), include_self=own)
            ),
        )


@given(drawn=neighbourhoods())
@settings(max_examples=30, deadline=None)
def test_pseudo_labels_are_equation_6_in_either_unit_of_sigma(
    drawn: tuple[Tensor, RepresentationSettings],
) -> None:
    zbar, chosen = drawn
    with naive.double_precision():
        torch.testing.assert_close(pseudo_labels(zbar, chosen), naive_labels(zbar, chosen))


def test_a_patch_with_an_empty_half_set_keeps_its_own_row() -> None:
    # On a line, patch 0's nearest is 1, whose nearest is 2: no patch is reciprocal to 0, nor to 3.
    zbar = torch.tensor([[0.0], [2.0], [3.0], [7.0]])
    neighbours = nearest_neighbours(squared_distances(zbar), 2, include_self=False)
    half = neighbours[:, :1]
    assert reciprocal_neighbours(half)[:, 0].tolist() == [False, True, True, False]
    expanded = query_expansion(
        neighbours, shared_neighbours(neighbours), half, reciprocal_neighbours(half)
    )
    assert dense(*expanded).tolist() == [
        [0.0, 0.5, 0.5, 0.0],
        [0.5, 0.5, 0.0, 0.0],
        [0.5, 0.0, 0.5, 0.0],
        [0.0, 0.5, 0.5, 0.0],
    ]


@pytest.mark.parametrize("include_self", [True, False])
def test_among_duplicates_a_patch_is_the_first_of_its_neighbours_or_none(
    include_self: bool,
) -> None:
    squared = squared_distances(torch.ones(9, 3))
    neighbours = nearest_neighbours(squared, 4, include_self=include_self)
    own = torch.arange(9)[:, None]
    if include_self:
        assert torch.equal(neighbours[:, :1], own)
    else:
        assert not (neighbours == own).any()
    assert all(len(set(row)) == 4 for row in neighbours.tolist())


@given(
    # Few different values, so that rows are often duplicates.
    zbar=arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=9),
        elements=st.sampled_from([-1.0, 0.0, 0.1, 300.0]),
    ),
    include_self=st.booleans(),
    unit=st.sampled_from(["absolute", "mean_squared_distance"]),
)
@settings(max_examples=60, deadline=None)
def test_pseudo_labels_are_symmetric_and_in_0_1_also_with_duplicates(
    zbar: np.ndarray, include_self: bool, unit: str
) -> None:
    chosen = RepresentationSettings(
        k=2, batch_size=len(zbar), include_self=include_self, sigma_unit=unit
    )
    labels = pseudo_labels(torch.from_numpy(zbar), chosen)
    # A product of a matrix with its transpose is symmetric up to rounding, which is in parts of the
    # largest squared norm; labels fall with the squared distance by alpha over sigma at most.
    norm = np.square(zbar - zbar.mean(axis=0)).sum(axis=1).max()
    sigma = chosen.sigma if unit == "absolute" else max(norm / len(zbar), 1e-6)
    rounding = chosen.alpha / sigma * 4 * np.finfo(np.float32).eps * norm
    torch.testing.assert_close(labels, labels.T, atol=1e-6 + rounding, rtol=0)
    assert ((labels >= 0) & (labels <= 1)).all()


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_pseudo_labels_in_single_precision_do_not_suffer_from_a_distant_origin(
    offset: float,
) -> None:
    rng = np.random.default_rng(5)
    zbar = torch.from_numpy(offset + rng.normal(size=(40, 16))).float()
    chosen = RepresentationSettings(batch_size=40, sigma=20.0, alpha=0.6)
    # Squared distances of about 30 round by a few 1e-6; the labels' slope in them is below 1/sigma.
    torch.testing.assert_close(
        pseudo_labels(zbar, chosen).double(), naive_labels(zbar, chosen), atol=2e-6, rtol=0
    )


def test_label_spread_counts_pairs_of_different_patches_alone() -> None:
    labels = torch.tensor(
        [[1.0, 0.05, 0.95, 0.5], [0.05, 0.0, 0.05, 0.5], [0.95, 0.05, 1.0, 0.5], [0.5] * 4]
    )
    assert label_spread(labels).tolist() == [4 / 12, 2 / 12]
