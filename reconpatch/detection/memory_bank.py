"""The memory bank and the anomaly scores taken from it (Eqs. 9-10)."""

import copy
from functools import cache
from typing import Any

import faiss
import torch
from torch import Tensor

ROWS = 2048
"""Queries that are looked at at once on a CPU."""

BLOCK = 2**29
"""Bytes that the queries which are looked at at once may take on a GPU: 512 MiB."""

SPARE = 4
"""How many more candidates matrix products give than there are neighbours to find."""


class MemoryBank:
    """Nominal vectors ``(M, D)`` and exact search among them.

    FAISS finds the neighbours of vectors on the CPU, and on a GPU where faiss-gpu is installed;
    without it, matrix products on the GPU do. Either sees the vectors from their mean, so that
    rounding scales with their spread; distances are then taken by subtraction, so that small ones
    do not suffer from it at all. Memory: ``8 M D`` bytes for the vectors and the centred ones; on a
    GPU also ``BLOCK`` for the queries at work.

    Example:
        >>> bank = MemoryBank(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
        >>> bank.nearest(torch.tensor([[0.0, 1.0], [3.0, 2.0]]))
        (tensor([1., 2.]), tensor([0, 1]))
    """

    def __init__(self, vectors: Tensor) -> None:
        self.vectors = vectors.contiguous()
        self._count = len(vectors)
        self._mean = vectors.mean(dim=0)
        centred = vectors - self._mean
        # faiss-cpu has the names of the functions that copy an index to a GPU, but no resources.
        by_products = vectors.is_cuda and not hasattr(faiss, "StandardGpuResources")
        self._index: _Products | _Faiss = _Products(centred) if by_products else _Faiss(centred)

    def without(self, left_out: Tensor) -> "MemoryBank":
        """Return a bank without the vectors ``left_out``, bool ``(M,)`` on the CPU.

        Where matrix products search, it has them still, never finds them, and is no copy.
        """
        if isinstance(self._index, _Faiss):
            return MemoryBank(self.vectors[~left_out])
        others = copy.copy(self)
        others._count = int((~left_out).sum())
        others._index = self._index.without(left_out.to(self.vectors.device), others._count)
        return others

    def neighbours(self, queries: Tensor, count: int) -> Tensor:
        """Return the indices ``(Q, count)`` of each query's nearest vectors, nearest first."""
        blocks = queries.split(self._rows(count + SPARE))
        return torch.cat([self._index.search(rows - self._mean, count) for rows in blocks])

    def nearest(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Eq. 9: each query's distance to its nearest vector r*, and the index of r*, ``(Q,)``."""
        indices = self.neighbours(queries, 1)[:, 0]
        size = self._rows(1)
        scores = [
            (rows - self.vectors[at]).norm(dim=1)
            for rows, at in zip(queries.split(size), indices.split(size), strict=True)
        ]
        return torch.cat(scores), indices

    def _rows(self, candidates: int) -> int:
        """How many queries are looked at at once, with so many vectors beside each.

        Each takes its products with the bank, and on a GPU itself and the candidates twice.
        """
        if not self.vectors.is_cuda:
            return ROWS
        count, dimensions = self.vectors.shape
        return max(1, BLOCK // (4 * (count + (2 * candidates + 1) * dimensions)))

    def reweighting(self, queries: Tensor, distances: Tensor, nearest: Tensor, b: int) -> Tensor:
        """Eq. 10's factor of each score: small where r* is close in a crowd of the memory bank.

        ``1 - exp(||f(p) - r*||) / sum over r in N_b(r*) of exp(||f(p) - r||)``, with r* among its
        own b neighbours. The fraction is r*'s entry of a softmax over distances, which is how it is
        computed: exponentials of distances in the hundreds would overflow.

        Args:
            queries: features ``(Q, D)``.
            distances: their Eq. 9 distances ``(Q,)``.
            nearest: their r* indices ``(Q,)``.
            b: the size of N_b, the whole bank at most. A crowd of r* alone says nothing: the
                factors are one then, where the formula would make every score zero.
        """
        b = min(b, self._count)
        if b == 1:
            return torch.ones_like(distances)
        # Few of the bank's vectors are anyone's nearest: only those have their crowds looked for.
        stars, which = nearest.unique(return_inverse=True)
        crowd = self.neighbours(self.vectors[stars], b)
        factors = []
        size = self._rows(b)
        for rows, star, distance in zip(
            queries.split(size), which.split(size), distances.split(size), strict=True
        ):
            to_crowd = (rows[:, None] - self.vectors[crowd[star]]).norm(dim=2)
            factors.append(1 - torch.exp(distance - torch.logsumexp(to_crowd, dim=1)))
        return torch.cat(factors)


class _Faiss:
    """Search by FAISS, where the vectors lie."""

    def __init__(self, vectors: Tensor) -> None:
        self._index: faiss.Index = faiss.IndexFlatL2(vectors.shape[1])
        if vectors.is_cuda:
            self._index = faiss.index_cpu_to_gpu(
                _gpu_resources(vectors.device.index), vectors.device.index, self._index
            )
        self._index.add(vectors.cpu().numpy())

    def search(self, queries: Tensor, count: int) -> Tensor:
        indices = self._index.search(queries.cpu().numpy(), count)[1]
        return torch.from_numpy(indices).to(queries.device)


@cache
def _gpu_resources(device: int) -> Any:
    """FAISS's memory on a GPU, which it sets aside once a process."""
    return faiss.StandardGpuResources()


class _Products:
    """Search by matrix products, where the vectors lie.

    ``||v||^2 - 2 q.v`` ranks as distances do, up to rounding. The first in that order are ranked
    anew by their distances, taken by subtraction.
    """

    def __init__(self, vectors: Tensor) -> None:
        self._vectors = vectors
        self._norms = vectors.square().sum(dim=1)
        self._count = len(vectors)

    def without(self, left_out: Tensor, count: int) -> "_Products":
        """Return a search that never comes to the vectors ``left_out``; it has ``count`` others."""
        others = copy.copy(self)
        others._norms = self._norms.masked_fill(left_out, torch.inf)
        others._count = count
        return others

    def search(self, queries: Tensor, count: int) -> Tensor:
        ranks = torch.addmm(self._norms, queries, self._vectors.T, alpha=-2)
        candidates = ranks.topk(min(count + SPARE, self._count), largest=False).indices
        del ranks
        distances = (self._vectors[candidates] - queries[:, None]).square_().sum(dim=2)
        # Stable: what is equally far stays in the products' order.
        order = distances.argsort(dim=1, stable=True)[:, :count]
        return candidates.gather(1, order)
