"""The representation network g(f(p)) and its exponential moving average (Eq. 8)."""

import torch
from torch import Tensor, nn

from reconpatch.settings.representation import RepresentationSettings


class RepresentationNetwork(nn.Module):
    """The feature representation layer f and the projection layer g, each a linear layer.

    Training uses both; detection uses f alone. Without a projection dimension, g is the identity
    (Table S4).
    """

    def __init__(self, input_dimension: int, settings: RepresentationSettings, seed: int) -> None:
        """Draw the weights from ``seed`` without changing the global random state.

        ``orthogonal`` draws (semi-)orthogonal weights and zero biases, so that f keeps all
        distances if it has at least ``input_dimension`` outputs. ``uniform`` is torch's default.
        ``principal_components`` begins as ``orthogonal``; ``train``, which has the patches, then
        sets f.
        """
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.f = nn.Linear(input_dimension, settings.dimension)
            self.g: nn.Module = nn.Identity()
            if settings.projection_dimension is not None:
                self.g = nn.Linear(settings.dimension, settings.projection_dimension)
            if settings.initialization != "uniform":
                for layer in (self.f, self.g):
                    if isinstance(layer, nn.Linear):
                        nn.init.orthogonal_(layer.weight)
                        nn.init.zeros_(layer.bias)

    def forward(self, patches: Tensor) -> Tensor:
        """Return ``z = g(f(p))`` of patch features ``(B, D)``."""
        z: Tensor = self.g(self.f(patches))
        return z


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, momentum: float) -> None:
    """Eq. 8: ``theta_bar <- gamma theta_bar + (1 - gamma) theta``, over f and g together."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - momentum)
