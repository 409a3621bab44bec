"""RD4AD's networks: a bottleneck that embeds the teacher's maps, and a decoder that mirrors it.

Widths and grids follow the teacher's maps, whatever its kind.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

WIDE = 256
"""Channels of the finest layer from which on the teacher counts as one of bottleneck blocks."""


def _convolution(inputs: int, width: int, size: int, stride: int = 1) -> nn.Sequential:
    """A convolution with batch normalisation; stride 2 halves the grid, rounded up."""
    return nn.Sequential(
        nn.Conv2d(inputs, width, size, stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(width),
    )


def _doubling(inputs: int, width: int) -> nn.Sequential:
    """A transposed convolution that doubles the grid, with batch normalisation."""
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, width, 2, stride=2, bias=False), nn.BatchNorm2d(width)
    )


class Block(nn.Module):
    """A residual block (He et al., CVPR 2016) that halves, keeps or doubles the grid.

    It is one of two convolutions of 3 x 3, or, where the teacher is of bottleneck blocks, one of
    half the width between two of 1 x 1, as in WideResNet-50.
    """

    def __init__(self, inputs: int, width: int, grid: str, *, wide: bool) -> None:
        super().__init__()
        inner = width // 2 if wide else width
        first = inner if wide else inputs
        if grid == "doubled":
            middle = _doubling(first, inner)
        else:
            middle = _convolution(first, inner, 3, 2 if grid == "halved" else 1)
        last = _convolution(inner, width, 1 if wide else 3)
        before = [_convolution(inputs, inner, 1), nn.ReLU()] if wide else []
        self.inner = nn.Sequential(*before, middle, nn.ReLU(), last)
        self.past: nn.Module = nn.Identity()
        if grid == "doubled":
            self.past = _doubling(inputs, width)
        elif grid == "halved" or inputs != width:
            self.past = _convolution(inputs, width, 1, 2 if grid == "halved" else 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, width, H', W')`` of ``(B, inputs, H, W)``, not yet rectified."""
        both: Tensor = self.past(x) + self.inner(x)
        return both


def _stage(inputs: int, width: int, grid: str, blocks: int, *, wide: bool) -> nn.Sequential:
    """Blocks, the first of which changes width and grid; the last is not rectified."""
    first = Block(inputs, width, grid, wide=wide)
    others = (
        part
        for _ in range(blocks - 1)
        for part in (nn.ReLU(), Block(width, width, "kept", wide=wide))
    )
    return nn.Sequential(first, *others)


class ReverseDistillation(nn.Module):
    """The one-class bottleneck embedding and the student decoder.

    Each layer's maps are brought to the deepest layer's grid by convolutions of stride 2 through
    the widths between them, and fused side by side; a stage embeds them on half that grid in twice
    its width. The decoder goes back, a stage a layer, deepest first.

    Attributes:
        rectified: whether the teacher's maps are, and so the student's, a layer; True until it is
            set. Those of ResNets are, those of EfficientNets are not.
    """

    rectified: Tensor

    def __init__(self, widths: Sequence[int]) -> None:
        """Take the layers' channels, finest first; each grid is half the one before."""
        super().__init__()
        wide = widths[0] >= WIDE
        deepest = widths[-1]
        self.fusion = nn.ModuleList(
            nn.Sequential(
                *(
                    part
                    for inputs, width in zip(widths[i:], widths[i + 1 :], strict=False)
                    for part in (_convolution(inputs, width, 3, 2), nn.ReLU())
                )
            )
            for i in range(len(widths))
        )
        # As deep as the stage after layer 3 of ResNet-50, or of ResNet-18.
        embedding = 3 if wide else 2
        self.embedding = _stage(len(widths) * deepest, 2 * deepest, "halved", embedding, wide=wide)
        depths = [(3, 4, 6)[min(i, 2)] if wide else 2 for i in range(len(widths))]
        rising = [2 * deepest, *reversed(widths)]
        self.decoder = nn.ModuleList(
            _stage(inputs, width, "doubled", blocks, wide=wide)
            for inputs, width, blocks in zip(rising, rising[1:], depths, strict=False)
        )
        self.register_buffer("rectified", torch.ones(len(widths), dtype=torch.bool))
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Return the student's maps of the teacher's, both finest first and of the same shapes."""
        fused = [bring(layer) for bring, layer in zip(self.fusion, maps, strict=True)]
        x = F.relu(self.embedding(torch.cat(fused, dim=1)))
        found = []
        for stage, layer, rectified in zip(
            self.decoder, reversed(maps), self.rectified.flip(0), strict=True
        ):
            # Doubling a grid that was halved and rounded up goes a row too far.
            x = stage(x)[..., : layer.shape[2], : layer.shape[3]]
            x = torch.where(rectified, F.relu(x), x)
            found.append(x)
        return found[::-1]
