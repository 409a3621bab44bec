"""The refinement network: residual blocks, then parallel atrous convolutions (Appendix D.1)."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from reconpatch.features.aggregation import upsample
from reconpatch.settings.refinement import RefinementSettings


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with a way past them (He et al., CVPR 2016)."""

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(width), nn.BatchNorm2d(width)])
        self.past: nn.Module = nn.Identity()
        if inputs != width or stride > 1:
            self.past = nn.Conv2d(inputs, width, stride, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, width, H / stride, W / stride)`` of ``(B, inputs, H, W)``."""
        inner = F.relu(self.norms[0](self.first(x)))
        return F.relu(self.past(x) + self.norms[1](self.second(inner)))


class AtrousPyramid(nn.Module):
    """Parallel atrous convolutions of different rates, side by side, mixed by a 1 x 1 convolution.

    Atrous spatial pyramid pooling (Chen et al., "DeepLab", TPAMI 2018).
    """

    def __init__(self, width: int, rates: tuple[int, ...]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=rate, dilation=rate, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            )
            for rate in rates
        )
        self.mixed = nn.Sequential(
            nn.Conv2d(width * len(rates), width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, width, H, W)`` of the same."""
        mixed: Tensor = self.mixed(torch.cat([branch(x) for branch in self.branches], dim=1))
        return mixed


class RefinementNetwork(nn.Module):
    """From an image and its score map to each pixel's log-odds of being anomalous.

    The last layer starts at zero and the score map is added to its output with a gain, so that
    training starts from the map as it is, and changes what it is wrong about.
    """

    def __init__(self, settings: RefinementSettings, seed: int) -> None:
        """Draw the weights from ``seed``; the global random state stays as it was."""
        super().__init__()
        self.sees_image = settings.input != "scores"
        self.sees_scores = settings.input != "image"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            inputs = 3 * self.sees_image + self.sees_scores
            self.blocks = nn.Sequential(
                ResidualBlock(inputs, settings.width, settings.stride),
                ResidualBlock(settings.width, settings.width),
            )
            self.pyramid = AtrousPyramid(settings.width, settings.rates)
            self.head = nn.Conv2d(settings.width, 1, 1, bias=False)
        nn.init.zeros_(self.head.weight)
        self.gain = nn.Parameter(torch.tensor(0.5))
        self.offset = nn.Parameter(torch.tensor(-4.0))

    def forward(self, images: Tensor, maps: Tensor) -> Tensor:
        """Return log-odds ``(B, S, S)``.

        Args:
            images: RGB of 0 to 255, ``(B, 3, S, S)``.
            maps: standardised score maps ``(B, S, S)``.
        """
        scores = maps[:, None]
        pixels = images.float() / 127.5 - 1
        seen = [pixels] * self.sees_image + [scores] * self.sees_scores
        found = self.head(self.pyramid(self.blocks(torch.cat(seen, dim=1))))
        logits: Tensor = upsample(found, images.shape[-2:])
        if self.sees_scores:
            logits = logits + self.gain * scores
        return logits[:, 0] + self.offset
