"""Affine coupling blocks, of which FastFlow's and CFLOW-AD's normalising flows are made.

A block changes half of the channels by what a small network makes of the other half, scales and
shifts each channel, and mixes the channels (Dinh et al., "Density Estimation using Real NVP", ICLR
2017; Kingma and Dhariwal, "Glow", NeurIPS 2018). Its form is that of FrEIA's ``AllInOneBlock``
(VLL-HD/FrEIA 0.2, MIT), which both methods' public codes use. That was read, and none of it was
taken: it draws its permutations from NumPy's global generator, and sums the log-determinant over an
image, where a score needs it place by place.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, softplus

from reconpatch.utils.precision import widest

DAMPING = 0.1
"""What the small networks' outputs are multiplied by, so that a new block changes little."""

ROWS = 16
"""How many images' maps are read at a time."""

FLOOR = 1e-4
"""The share of the channels' mean variance that is added to each."""


class Permutation(nn.Module):
    """The channels in an order that is drawn once."""

    order: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("order", torch.randperm(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` with its channels, dimension 1, in that order."""
        return x.index_select(1, self.order)


class Rotation(nn.Module):
    """An orthogonal matrix, drawn once, over the channels of vectors."""

    matrix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("matrix", nn.init.orthogonal_(torch.empty(channels, channels)))

    def forward(self, x: Tensor) -> Tensor:
        """Return vectors ``(N, C)``, rotated."""
        return linear(x, self.matrix)


class CouplingBlock(nn.Module):
    """One invertible step, of vectors ``(N, C)`` or maps ``(N, C, h, w)``.

    With the channels x = (x1, x2), x1 the larger half, and the network's output 0.1 (s, t) for x1
    and the condition: ``y = mix(scale * (x1, x2 * exp(clamp * tanh(s)) + t) + shift)``.

    Args:
        channels: C, two or more.
        network: makes the small network of so many channels to so many.
        mixing: ``Permutation`` or ``Rotation``.
        clamp: bounds the logarithm of the factors on x2.
        condition: channels of what the network is given besides x1.
    """

    def __init__(
        self,
        channels: int,
        network: Callable[[int, int], nn.Module],
        mixing: type[Permutation] | type[Rotation],
        *,
        clamp: float,
        condition: int = 0,
    ) -> None:
        super().__init__()
        self.halves = [channels - channels // 2, channels // 2]
        self.clamp = clamp
        self.network = network(self.halves[0] + condition, 2 * self.halves[1])
        # A scale of one.
        self.scale = nn.Parameter(torch.full((channels,), 2 * math.log(math.expm1(5))))
        self.shift = nn.Parameter(torch.zeros(channels))
        self.mix = mixing(channels)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return y, and the log-determinant of each place: ``(N,)`` or ``(N, h, w)``.

        An image's is the sum over its places, though a place's y depends on others' x: x1 and what
        follows from it stay as they are, so that the Jacobian is triangular.
        """
        first, second = x.split(self.halves, dim=1)
        given = first if condition is None else torch.cat([first, condition], dim=1)
        s, t = (DAMPING * self.network(given)).chunk(2, dim=1)
        log_factors = self.clamp * torch.tanh(s)
        changed = torch.cat([first, second * log_factors.exp() + t], dim=1)
        scale = 0.1 * softplus(self.scale, beta=0.5)
        each = (-1, *[1] * (x.ndim - 2))
        y = self.mix(changed * scale.view(each) + self.shift.view(each))
        return y, log_factors.sum(dim=1) + scale.log().sum()


class Standardisation(nn.Module):
    """Each channel by the mean and the deviation that training vectors have; none at first."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))

    def fit(self, maps: Tensor) -> None:
        """Take mean and deviation of maps ``(N, C, h, w)``, of a file ``ROWS`` images at a time.

        ``FLOOR`` of the channels' mean variance is added to each, so that one that never changes
        has a deviation too.
        """
        count = len(maps) * maps[0, 0].numel()
        mean = torch.zeros(maps.shape[1], dtype=torch.float64)
        for part in maps.split(ROWS):
            mean += part.to(widest(part.device)).sum(dim=(0, 2, 3)).cpu() / count
        variance = torch.zeros_like(mean)
        for part in maps.split(ROWS):
            wide = widest(part.device)
            centred = part.to(wide) - mean.to(wide).to(part.device)[:, None, None]
            variance += centred.square_().sum(dim=(0, 2, 3)).cpu() / count
        self.mean.copy_(mean)
        self.deviation.copy_((variance + FLOOR * variance.mean()).sqrt())

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return x standardised, and the log-determinant of each place, the same for all."""
        each = (-1, *[1] * (x.ndim - 2))
        y = (x - self.mean.view(each)) / self.deviation.view(each)
        return y, -self.deviation.log().sum()


class Flow(nn.Module):
    """Invertible steps one after the other."""

    def __init__(self, blocks: Sequence[CouplingBlock | Standardisation]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the log-likelihood of each place of x, ``(N,)`` or ``(N, h, w)``.

        That is ``log N(z; 0, I)`` of what the blocks make of it, and their log-determinants.
        """
        channels = x.shape[1]
        log_determinant = x.new_zeros(())
        for block in self.blocks:
            x, own = block(x, condition)
            log_determinant = log_determinant + own
        return log_determinant - 0.5 * (x.square().sum(dim=1) + channels * math.log(2 * math.pi))
