"""The memory bank and the anomaly scores taken from it (Eqs. 9-10)."""

import faiss
import torch
from torch import Tensor

ROWS = 2048


class MemoryBank:
    """Nominal vectors ``(M, D)`` and exact search among them.

    FAISS finds the neighbours (on the GPU where the vectors lie there and FAISS has one). It sees
    them from the vectors' mean, so that its rounding scales with their spread; distances are then
    taken by subtraction, so that small ones do not suffer from it at all.
    """

    def __init__(self, vectors: Tensor) -> None:
        self.vectors = vectors.contiguous()
        index: faiss.Index = faiss.IndexFlatL2(vectors.shape[1])
        if vectors.is_cuda and hasattr(faiss, "index_cpu_to_all_gpus"):
            index = faiss.index_cpu_to_all_gpus(index)
        self._mean = vectors.mean(dim=0)
        index.add((vectors - self._mean).cpu().numpy())
        self._index = index

    def neighbours(self, queries: Tensor, count: int) -> Tensor:
        """Return the indices ``(Q, count)`` of each query's nearest vectors, nearest first."""
        found = [
            torch.from_numpy(self._index.search((rows - self._mean).cpu().numpy(), count)[1])
            for rows in queries.split(ROWS)
        ]
        return torch.cat(found).to(queries.device)

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
