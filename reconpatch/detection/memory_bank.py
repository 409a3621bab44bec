"""The memory bank and the anomaly scores taken from it (Eqs. 9-10)."""

from functools import cache
from typing import Any

import faiss
import torch
from torch import Tensor

ROWS = 2048


class MemoryBank:
    """Nominal vectors ``(M, D)`` and exact search among them.

    FAISS finds the neighbours of vectors on the CPU, and on a GPU where faiss-gpu is installed;
    without it, matrix products on the GPU do. Either sees the vectors from their mean, so that
    rounding scales with their spread; distances are then taken by subtraction, so that small ones
    do not suffer from it at all.

    Example:
        >>> bank = MemoryBank(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
        >>> bank.nearest(torch.tensor([[0.0, 1.0], [3.0, 2.0]]))
        (tensor([1., 2.]), tensor([0, 1]))
    """

    def __init__(self, vectors: Tensor) -> None:
        self.vectors = vectors.contiguous()
        self._mean = vectors.mean(dim=0)
        centred = vectors - self._mean
        # faiss-cpu has the names of the functions that copy an index to a GPU, but no resources.
        if vectors.is_cuda and not hasattr(faiss, "StandardGpuResources"):
            self._search = _Products(centred).search
        else:
            self._search = _Faiss(centred).search

    def neighbours(self, queries: Tensor, count: int) -> Tensor:
        """Return the indices ``(Q, count)`` of each query's nearest vectors, nearest first."""
        return torch.cat([self._search(rows - self._mean, count) for rows in queries.split(ROWS)])

    def nearest(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Eq. 9: each query's distance to its nearest vector r*, and the index of r*, ``(Q,)``."""
        indices = self.neighbours(queries, 1)[:, 0]
        scores = [
            (rows - self.vectors[at]).norm(dim=1)
            for rows, at in zip(queries.split(ROWS), indices.split(ROWS), strict=True)
        ]
        return torch.cat(scores), indices

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
        if min(b, len(self.vectors)) == 1:
            return torch.ones_like(distances)
        # Few of the bank's vectors are anyone's nearest: only those have their crowds looked for.
        stars, which = nearest.unique(return_inverse=True)
        crowd = self.neighbours(self.vectors[stars], min(b, len(self.vectors)))
        factors = []
        for rows, star, distance in zip(
            queries.split(ROWS), which.split(ROWS), distances.split(ROWS), strict=True
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
    """Search by matrix products, where the vectors lie: ``||v||^2 - 2 q.v`` ranks as distances."""

    def __init__(self, vectors: Tensor) -> None:
        self._vectors = vectors
        self._norms = vectors.square().sum(dim=1)

    def search(self, queries: Tensor, count: int) -> Tensor:
        ranks = torch.addmm(self._norms, queries, self._vectors.T, alpha=-2)
        return ranks.topk(count, largest=False).indices
