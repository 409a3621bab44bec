"""FastFlow: a normalising flow over each layer's maps, which keep their two dimensions.

Paper: Yu et al., "FastFlow: Unsupervised Anomaly Detection and Localization via 2D Normalizing
Flows", arXiv:2111.07677, 2021. Its authors gave no code. What anomalib 2.7.0 (Apache-2.0) makes of
it is known here from its settings, and none of it was taken.

Reads: layer maps, of layers 1 to 3. Learns: a flow for each layer, by likelihood.

Settings of the paper: 8 steps, whose small networks take 3 x 3 and 1 x 1 convolutions in turn, or
3 x 3 alone where the backbone is small (ResNet-18); 500 epochs of Adam at 1e-3 with a weight decay
of 1e-5, mini-batches of 32, images of 256 px: those here, with the suite's size. A small network's
hidden channels are as many as it is given, and factors stay within exp(2), as public code has them.

Departs from its paper: channels are standardised by the training images' mean and deviation, about
which the paper says nothing; public code trains a layer norm there, whose change of volume is left
out of its likelihood. A place's score is its negative log-likelihood: of what stands there after
the flow, and of the factors there. The layers' are averaged on the finest layer's grid.
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from reconpatch.methods.trained import TrainedMethod, TrainedRecipe
from reconpatch.settings.base import Count, Positive

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn

    from reconpatch.features.layer_maps import LayerMaps

CLAMP = 2.0
"""What bounds the logarithm of a factor."""


class FastFlowRecipe(TrainedRecipe):
    """FastFlow's settings.

    Attributes:
        steps: of each layer's flow.
        kernels: the convolutions' sizes, from step to step.
        hidden_ratio: hidden channels of a small network for each that it is given.
        weight_decay: of Adam.
    """

    method: Literal["FastFlow"] = "FastFlow"
    steps: Count = 8
    kernels: Literal["3x3 and 1x1", "3x3"] = "3x3 and 1x1"
    hidden_ratio: Positive = 1.0
    epochs: Count = 500
    batch_size: Count = 32
    learning_rate: Positive = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-5


class FastFlow(TrainedMethod[FastFlowRecipe]):
    """Likelihoods by flows of convolutions."""

    Recipe = FastFlowRecipe
    network: "nn.ModuleList"

    def build(self) -> "nn.Module":
        """Return a standardisation and a flow for each layer."""
        from torch import nn

        from reconpatch.methods.coupling import CouplingBlock, Flow, Permutation, Standardisation

        def small(kernel: int, inputs: int, outputs: int) -> nn.Module:
            hidden = max(1, int(self.recipe.hidden_ratio * inputs))
            return nn.Sequential(
                nn.Conv2d(inputs, hidden, kernel, padding="same"),
                nn.ReLU(),
                nn.Conv2d(hidden, outputs, kernel, padding="same"),
            )

        kernels = [3, 1] if self.recipe.kernels == "3x3 and 1x1" else [3]
        flows = []
        for channels, _, _ in self.shapes:
            blocks = [
                CouplingBlock(
                    channels, partial(small, kernels[i % len(kernels)]), Permutation, clamp=CLAMP
                )
                for i in range(self.recipe.steps)
            ]
            flows.append(Flow([Standardisation(channels), *blocks]))
        return nn.ModuleList(flows)

    def prepare(self, maps: "LayerMaps", category: str) -> None:
        """Standardise each layer's channels by the training images."""
        from reconpatch.methods.coupling import Standardisation

        for flow, layer in zip(self.network, maps.layers(), strict=True):
            for block in flow.modules():
                if isinstance(block, Standardisation):
                    block.fit(layer)

    def optimizer(self) -> "torch.optim.Optimizer":
        """Return Adam with its weight decay."""
        from torch.optim import Adam

        rate, decay = self.recipe.learning_rate, self.recipe.weight_decay
        return Adam(self.network.parameters(), lr=rate, weight_decay=decay)

    def losses(self, maps: "list[Tensor]", random: "np.random.Generator") -> "Iterator[Tensor]":
        """Yield an image's mean negative log-likelihood, summed over layers."""
        import torch

        likelihoods = [
            flow(layer).sum(dim=(1, 2)).mean()
            for flow, layer in zip(self.network, maps, strict=True)
        ]
        yield -torch.stack(likelihoods).sum()

    def patch_scores(self, maps: "list[Tensor]") -> "Tensor":
        """Return the mean of the layers' negative log-likelihoods at each place."""
        import torch
        from torch.nn.functional import interpolate

        grids = [
            interpolate(-flow(layer)[:, None], maps[0].shape[2:], mode="bilinear")
            for flow, layer in zip(self.network, maps, strict=True)
        ]
        return torch.cat(grids, dim=1).mean(dim=1)
