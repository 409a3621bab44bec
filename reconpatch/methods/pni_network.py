"""PNI's network: from the patches around one to the kind of patch that it may be."""

from itertools import pairwise

import torch
from torch import Tensor, nn


class KindNetwork(nn.Module):
    """Linear layers, all but the last normalised over the mini-batch and rectified.

    Args:
        dimension: D, of a patch's features.
        kinds: K.
        side: p, patches of a side of the square around a patch.
        absent: which of the square's p^2 patches it is not given, counted row by row.
        hidden: channels of its hidden layers.
    """

    def __init__(
        self, dimension: int, kinds: int, *, side: int, absent: int, hidden: list[int]
    ) -> None:
        super().__init__()
        self.side, self.absent = side, absent
        widths = [(side**2 - 1) * dimension, *hidden]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], kinds))

    def forward(self, features: Tensor, rows: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return each patch's outputs ``(n, K)``, whose softmax are its kinds' probabilities.

        Args:
            features: of whole images, ``(N h w, D)``.
            rows: which of them, ``(n,)``.
            grid: ``(h, w)``.
        """
        outputs: Tensor = self.layers(self.surroundings(features, rows, grid))
        return outputs

    def surroundings(self, features: Tensor, rows: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return what stands around patches, ``(n, (p^2 - 1) D)``; zeros beyond the image."""
        h, w = grid
        square = torch.arange(self.side**2, device=rows.device)
        square = square[square != self.absent]
        down, right = square // self.side - self.side // 2, square % self.side - self.side // 2
        y = (rows // w % h)[:, None] + down
        x = (rows % w)[:, None] + right
        inside = (y >= 0) & (y < h) & (x >= 0) & (x < w)
        found = features[(rows[:, None] + down * w + right).where(inside, 0)]
        return found.mul_(inside[:, :, None]).flatten(1)
