import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from benchmarks.measure import PROCESS
from reconpatch.detection import coreset
from reconpatch.detection.coreset import BLAS, coreset_memory, coreset_size, greedy_coreset
from tests import naive

ROOT = Path(__file__).parents[2]
PEAK = """
import sys
import torch
from benchmarks.measure import PeakMemory
from reconpatch.detection.coreset import greedy_coreset
from reconpatch.utils.devices import set_up_torch

set_up_torch("cpu", 2)
greedy_coreset(torch.rand(99, 9), 50, 0)  # reads in the libraries' code
rows, dimensions, count = map(int, sys.argv[1:])
features = torch.randn(rows, dimensions)
with PeakMemory() as memory:
    greedy_coreset(features, count, 0)
print(memory.growth)
"""
CONTENDERS = st.sampled_from([1, 2, 3, 4, 5, 20, 2048])


@given(
    seed=st.integers(0, 2**32),
    total=st.integers(1, 45),
    dimensions=st.integers(1, 4),
    offset=st.sampled_from([0.0, 100.0]),
    contenders=CONTENDERS,
    rows=st.sampled_from([1, 7, 8192]),
    data=st.data(),
)
@settings(max_examples=80, deadline=None)
def test_the_coreset_is_the_plain_greedy_rules_for_any_batch_of_contenders(
    seed: int,
    total: int,
    dimensions: int,
    offset: float,
    contenders: int,
    rows: int,
    data: st.DataObject,
) -> None:
    features = offset + np.random.default_rng(seed).normal(size=(total, dimensions))
    count = data.draw(st.sampled_from([total, 1, (total + 1) // 2]), label="count")
    start = data.draw(st.integers(0, total - 1), label="start")
    # Blocks of few rows, so that small features cross their borders.
    with pytest.MonkeyPatch.context() as patch, naive.double_precision():
        patch.setattr(coreset, "ROWS", rows)
        taken = greedy_coreset(torch.from_numpy(features), count, start, contenders=contenders)
    assert taken.tolist() == naive.greedy_coreset(features.tolist(), count, start)


@pytest.mark.parametrize("contenders", [3, 64, 2048])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_single_precision_takes_a_farthest_point_each_time_up_to_rounding(
    offset: float, contenders: int
) -> None:
    rng = np.random.default_rng(3)
    features = torch.from_numpy(offset + rng.normal(size=(300, 8))).float()
    taken = greedy_coreset(features, 300, 5, contenders=contenders).tolist()
    assert sorted(taken) == list(range(300))
    # A squared distance is off by a few eps of the largest product in it, which is that of a
    # feature's length (|offset| sqrt(8), or about 3) and a distance (10 at most).
    rounding = 4 * torch.finfo(torch.float32).eps * 10 * max(3.0, offset * math.sqrt(8))
    exact = features.double()
    nearest = (exact - exact[taken[0]]).square().sum(dim=1)
    for point in taken[1:]:
        assert nearest[point] >= nearest.max() - rounding
        nearest = torch.minimum(nearest, (exact - exact[point]).square().sum(dim=1))


@given(
    features=arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=2, max_side=12),
        elements=st.sampled_from([0.0, 0.1, 100.0]),
    ),
    contenders=CONTENDERS,
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_no_point_is_taken_twice_also_among_duplicates(
    features: np.ndarray, contenders: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, len(features)), label="count")
    start = data.draw(st.integers(0, len(features) - 1), label="start")
    taken = greedy_coreset(torch.from_numpy(features), count, start, contenders=contenders)
    assert taken[0] == start
    assert len(set(taken.tolist())) == len(taken) == count


@pytest.mark.skipif(not PROCESS.exists(), reason="only Linux tells a process's peak")
@pytest.mark.parametrize(
    ("rows", "dimensions", "count"),
    # Few points; wide ones; batches of a dozen sizes, most of them below a matrix of their own.
    [(1000, 64, 900), (6000, 768, 60), (40_000, 64, 4000)],
)
def test_the_peak_of_a_fresh_process_is_as_stated(rows: int, dimensions: int, count: int) -> None:
    command = [sys.executable, "-c", PEAK, *map(str, (rows, dimensions, count))]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    stated = coreset_memory(rows, dimensions) / 2**20
    assert 0.9 * (stated - BLAS / 2**20) <= float(told) <= stated


@pytest.mark.parametrize("count", [0, 5])
def test_a_coreset_larger_than_the_features_or_empty_is_an_error(count: int) -> None:
    with pytest.raises(ValueError, match=f"coreset of {count}"):
        greedy_coreset(torch.zeros(4, 2), count, 0)


def test_the_size_is_rounded_down_and_at_least_one() -> None:
    # MVTec AD's bottle: 209 images of 28 x 28 patches.
    assert coreset_size(209 * 28 * 28, 0.01) == 1638
    assert coreset_size(99, 0.01) == 1
    assert coreset_size(99, 1.0) == 99
