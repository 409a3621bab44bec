import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode

from reconpatch.detection import memory_bank
from reconpatch.detection.memory_bank import MemoryBank
from tests import naive


def draw(seed: int, bank: int, queries: int, dimensions: int = 6) -> tuple[Tensor, Tensor]:
    """Bank vectors and queries about them, in single precision as FAISS has it."""
    rng = np.random.default_rng(seed)
    return (
        torch.from_numpy(rng.normal(size=(bank, dimensions))).float(),
        torch.from_numpy(rng.normal(size=(queries, dimensions)) * 2).float(),
    )


def factors(bank: Tensor, queries: Tensor, b: int) -> Tensor:
    built = MemoryBank(bank)
    return built.reweighting(queries, *built.nearest(queries), b)


@pytest.mark.parametrize("seed", range(3))
def test_equation_9_is_the_distance_to_the_nearest_vector(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Blocks of few rows, so that the queries cross their borders.
    monkeypatch.setattr(memory_bank, "ROWS", 8)
    bank, queries = draw(seed, bank=30, queries=21)
    distances, nearest = MemoryBank(bank).nearest(queries)
    expected = [naive.eq9_patch_score(query, bank.tolist()) for query in queries.tolist()]
    torch.testing.assert_close(distances, torch.tensor([distance for distance, _ in expected]))
    assert nearest.tolist() == [index for _, index in expected]


def test_small_distances_far_from_the_origin_keep_their_digits() -> None:
    # From norms and products, distances of 0.01 at 1000 would be lost in rounding of about 0.1.
    bank = 1000 + torch.arange(8.0)[:, None] * torch.ones(8, 4)
    queries = bank + torch.tensor([1.0, 0.0, 0.0, 0.0]) / 128
    distances, nearest = MemoryBank(bank).nearest(queries)
    assert nearest.tolist() == list(range(8))
    assert distances.tolist() == [1 / 128] * 8


@pytest.mark.parametrize("b", [2, 5, 30, 99])
@pytest.mark.parametrize("seed", range(3))
def test_equation_10_is_its_exponentials(
    seed: int, b: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_bank, "ROWS", 8)
    bank, queries = draw(seed, bank=30, queries=21)
    expected = [naive.eq10_factor(query, bank.tolist(), b) for query in queries.tolist()]
    torch.testing.assert_close(factors(bank, queries, b), torch.tensor(expected))


def test_distances_of_hundreds_do_not_overflow_equation_10() -> None:
    bank, queries = draw(seed=4, bank=30, queries=9)
    queries[:, 0] += 900
    found = factors(bank, queries, 9).tolist()
    for query, factor in zip(queries.tolist(), found, strict=True):
        distance, star = naive.eq9_patch_score(query, bank.tolist())
        with pytest.raises(OverflowError):
            math.exp(distance)
        crowd = sorted(bank.tolist(), key=lambda vector: math.dist(bank[star].tolist(), vector))[:9]
        expected = 1 - 1 / math.fsum(math.exp(math.dist(query, r) - distance) for r in crowd)
        assert 0.01 < expected < 0.99
        # Single precision holds distances of 900 to within 3e-5, and two of them are subtracted.
        assert factor == pytest.approx(expected, abs=1e-4)


def test_a_crowd_of_one_leaves_scores_as_they_are() -> None:
    bank, queries = draw(seed=5, bank=6, queries=4)
    assert factors(bank, queries, 1).tolist() == [1] * 4
    assert factors(bank[:1], queries, 9).tolist() == [1] * 4


def test_a_crowd_of_duplicates_shares_the_weight_evenly() -> None:
    # Twelve copies of r*, more than the search for its three neighbours can return.
    bank = torch.cat([torch.full((12, 3), 0.1), torch.full((4, 3), 5.0)])
    queries = torch.tensor([[0.5, 0.1, 0.0], [0.1, 0.1, 0.1]])
    torch.testing.assert_close(factors(bank, queries, 3), torch.full((2,), 2 / 3))


def test_products_find_the_neighbours_that_faiss_finds() -> None:
    bank, queries = draw(seed=6, bank=200, queries=50)
    bank, queries = bank + 100, queries + 100
    by_products = memory_bank._Products(bank - bank.mean(0)).search(queries - bank.mean(0), 7)
    assert by_products.equal(MemoryBank(bank).neighbours(queries, 7))


@pytest.mark.skipif(
    hasattr(memory_bank.faiss, "StandardGpuResources"), reason="faiss-gpu is installed"
)
def test_without_faiss_gpu_a_bank_on_a_gpu_is_searched_there() -> None:
    # faiss-cpu has index_cpu_to_all_gpus by name, and a NameError when it is called.
    with FakeTensorMode():
        bank = MemoryBank(torch.empty(30, 6, device="cuda"))
        distances, indices = bank.nearest(torch.empty(21, 6, device="cuda"))
        assert distances.shape == indices.shape == (21,)
        assert {distances.device.type, indices.device.type} == {"cuda"}
