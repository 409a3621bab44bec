import numpy as np
import pytest
import torch

from reconpatch.evaluation.diagnostics import effective_rank, neighbour_overlap, relative_spread


def test_effective_rank_counts_the_directions_in_use() -> None:
    rng = np.random.default_rng(0)
    plane = torch.from_numpy(rng.normal(size=(5000, 2)) @ rng.normal(size=(2, 10)))
    q, _ = np.linalg.qr(rng.normal(size=(10, 3)))
    even = torch.from_numpy(rng.normal(size=(20000, 3)) @ q.T)
    assert effective_rank(even) == pytest.approx(3, abs=0.01)
    assert 1 < effective_rank(plane) < 2
    assert effective_rank(even * 7 + 3) == pytest.approx(effective_rank(even))


def test_neighbours_are_kept_by_a_rotation_and_lost_by_a_shuffle() -> None:
    rng = np.random.default_rng(0)
    points = torch.from_numpy(rng.normal(size=(300, 6)))
    q = torch.from_numpy(np.linalg.qr(rng.normal(size=(6, 6)))[0])
    assert neighbour_overlap(points, points @ q * 3 + 1, 5) == 1
    assert neighbour_overlap(points, points[torch.randperm(300)], 5) < 0.1
    halves = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[0.0], [5.0], [3.0]])
    # Nearest before: 1, 0, 1. After: 2, 2, 1.
    assert neighbour_overlap(*halves, 1) == pytest.approx(1 / 3)


def test_relative_spread_has_no_unit() -> None:
    assert relative_spread(np.array([9.0, 11.0])) == pytest.approx(0.1)
    assert relative_spread(np.array([90.0, 110.0])) == pytest.approx(0.1)
