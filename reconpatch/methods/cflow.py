"""CFLOW-AD: a normalising flow of each layer's vectors, told where in the image they stand.

Paper: Gudovskiy, Ishizaka and Kozuka, "CFLOW-AD: Real-Time Unsupervised Anomaly Detection with
Localization via Conditional Normalizing Flows", WACV 2022. Its authors' code (gudovskiy/cflow-ad,
BSD-3-Clause) was read, and none of it was taken.

Reads: layer maps, of layers 2 to 4. Learns: a flow for each layer, by likelihood.

Settings of the paper: WideResNet-50, the last three layers, 8 coupling blocks with factors within
exp(1.9), 128 channels of sines and cosines for the place, 25 meta-epochs of 8 epochs of Adam at
2e-4, on a cosine that ends at a thousandth after two meta-epochs of warm-up, mini-batches of 32
images, 256 of their vectors a step: those here, with the suite's size. The paper tunes that size,
and its code the epoch, on the test images of each category; neither is done here.

Departs from its paper: likelihoods become probabilities by the training images' highest, where the
code takes that of all test images. The layers' are averaged on the finest layer's grid, and maps
smoothed as all methods' are.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from reconpatch.methods.method import Needs, Sizes, TrainingSet
from reconpatch.methods.trained import TrainedMethod, TrainedRecipe
from reconpatch.settings.base import Count
from reconpatch.settings.features import FeatureSettings

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn

    from reconpatch.features.layer_maps import LayerMaps
    from reconpatch.utils.epochs import Checkpoint

CLAMP = 1.9
"""What bounds the logarithm of a factor."""

COLD = 0.1
"""The share of the rate that warm-up starts from."""

LAST = 1e-3
"""The share of the rate that the cosine would end at."""


class CFLOWRecipe(TrainedRecipe):
    """CFLOW-AD's settings.

    Attributes:
        blocks: of each layer's flow.
        place_channels: of what tells the flow where a vector stands.
        vectors: of a step.
        meta_epoch: epochs that have one rate.
        warm_up: meta-epochs in which the rate rises, step by step.
    """

    method: Literal["CFLOW-AD"] = "CFLOW-AD"
    features: FeatureSettings = FeatureSettings(layers=(2, 3, 4))
    blocks: Count = 8
    place_channels: Annotated[int, Field(ge=4, multiple_of=4)] = 128
    epochs: Count = 200
    batch_size: Count = 32
    vectors: Count = 256
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    meta_epoch: Count = 8
    warm_up: Annotated[int, Field(ge=0)] = 2


class CFLOW(TrainedMethod[CFLOWRecipe]):
    """Likelihoods by flows of vectors."""

    Recipe = CFLOWRecipe
    network: "nn.ModuleList"

    @classmethod
    def needs(cls, recipe: CFLOWRecipe, sizes: Sizes, *, on_gpu: bool) -> Needs:
        """Return what a training takes, rehearsed on as few images as fill a step of each layer.

        The others of a mini-batch add their maps and, besides, these as vectors.
        """
        batch = min(recipe.batch_size, sizes.train_images)
        places = [h * w for _, h, w in sizes.shapes]
        few = min(batch, -(-recipe.vectors // min(places)))
        rehearsed = super().needs(recipe, sizes._replace(train_images=few), on_gpu=on_gpu)
        steps = sum(max(1, batch * each // recipe.vectors) for each in places)
        others = 8 * (batch - few) * sum(c * h * w for c, h, w in sizes.shapes)
        return rehearsed._replace(
            steps=recipe.epochs * (sizes.train_images // batch) * steps,
            working_bytes=rehearsed.working_bytes + others,
        )

    def build(self) -> "nn.Module":
        """Return a flow for each layer, with what it has of the places and of the training."""
        import torch
        from torch import nn

        from reconpatch.methods.coupling import CouplingBlock, Flow, Rotation

        def small(inputs: int, outputs: int) -> nn.Module:
            return nn.Sequential(
                nn.Linear(inputs, 2 * inputs), nn.ReLU(), nn.Linear(2 * inputs, outputs)
            )

        flows = []
        for channels, _, _ in self.shapes:
            blocks = [
                CouplingBlock(
                    channels, small, Rotation, clamp=CLAMP, condition=self.recipe.place_channels
                )
                for _ in range(self.recipe.blocks)
            ]
            flows.append(Flow(blocks))
        network = nn.ModuleList(flows)
        # The highest log-likelihood of a training vector of each layer, a channel.
        network.register_buffer("highest", torch.zeros(len(flows)))
        return network

    def optimizer(self) -> "torch.optim.Optimizer":
        """Return Adam."""
        from torch.optim import Adam

        return Adam(self.network.parameters(), lr=self.recipe.learning_rate)

    def schedule(self, optimizer: "torch.optim.Optimizer", epochs: float) -> None:
        """Set the rate: a cosine over meta-epochs, and before it a rise to where that then is."""
        for group in optimizer.param_groups:
            group["lr"] = self.rate(epochs)

    def rate(self, epochs: float) -> float:
        """Return the rate after so many epochs."""
        recipe = self.recipe

        def cosine(meta_epoch: int) -> float:
            passed = meta_epoch * recipe.meta_epoch / recipe.epochs
            return recipe.learning_rate * (LAST + (1 - LAST) * (1 + math.cos(math.pi * passed)) / 2)

        warm = recipe.warm_up * recipe.meta_epoch
        if epochs < warm:
            first = COLD * recipe.learning_rate
            return first + epochs / warm * (cosine(recipe.warm_up) - first)
        return cosine(int(epochs // recipe.meta_epoch))

    def losses(self, maps: "list[Tensor]", random: "np.random.Generator") -> "Iterator[Tensor]":
        """Yield ``-log sigmoid`` of a channel's mean log-likelihood, ``vectors`` at a time.

        A layer with fewer takes them all at once; what remains of one with more is left out.
        """
        import torch
        from torch.nn.functional import logsigmoid

        for flow, layer in zip(self.network, maps, strict=True):
            vectors, places = self._vectors(layer)
            size = min(self.recipe.vectors, len(vectors))
            order = torch.from_numpy(random.permutation(len(vectors))).to(layer.device)
            for some in order[: len(order) // size * size].split(size):
                likelihood = flow(vectors[some], places[some % len(places)]) / layer.shape[1]
                yield -logsigmoid(likelihood).mean()

    def fit_epochs(
        self, training: TrainingSet, checkpoint: "Checkpoint | None" = None
    ) -> "Iterator[int]":
        """Train, and before the test images are scored, look up the highest likelihoods."""
        scored = self.scored_epochs(self.recipe)
        for epoch in super().fit_epochs(training, checkpoint):
            if epoch in scored:
                self._look_up_highest(training.patches)
            yield epoch

    def patch_scores(self, maps: "list[Tensor]") -> "Tensor":
        """Return 1 less the layers' mean probability: likelihoods over the training's highest."""
        import torch
        from torch.nn.functional import interpolate

        grids, highest = [], self.network.get_buffer("highest")
        for flow, layer, most in zip(self.network, maps, highest, strict=True):
            probabilities = (self._likelihoods(flow, layer) - most).exp()
            grids.append(interpolate(probabilities[:, None], maps[0].shape[2:], mode="bilinear"))
        return 1 - torch.cat(grids, dim=1).mean(dim=1)

    def _look_up_highest(self, maps: "LayerMaps") -> None:
        import torch

        self.network.eval()
        highest = self.network.get_buffer("highest").fill_(-torch.inf)
        with torch.no_grad():
            for first in range(0, len(maps), self.recipe.batch_size):
                some = self.on_device(maps[first : first + self.recipe.batch_size])
                found = [
                    self._likelihoods(flow, layer).max()
                    for flow, layer in zip(self.network, some, strict=True)
                ]
                torch.maximum(highest, torch.stack(found), out=highest)

    def _likelihoods(self, flow: "nn.Module", layer: "Tensor") -> "Tensor":
        """The log-likelihoods ``(B, h, w)`` of a layer's vectors, a channel."""
        vectors, places = self._vectors(layer)
        likelihoods: Tensor = flow(vectors, places.repeat(len(layer), 1)) / layer.shape[1]
        return likelihoods.view(-1, *layer.shape[2:])

    def _vectors(self, layer: "Tensor") -> "tuple[Tensor, Tensor]":
        """The vectors ``(B h w, C)`` of a layer, and what tells the places ``(h w, P)``."""
        _, _, h, w = layer.shape
        places = positions(self.recipe.place_channels, h, w, layer.device)
        return layer.movedim(1, 3).flatten(0, 2), places.flatten(1).T


def positions(channels: int, h: int, w: int, device: "torch.device | None" = None) -> "Tensor":
    """Return sines and cosines ``(channels, h, w)`` of places (Wang and Liu, 2019).

    The first half turns with the column, the other with the row; in each, a sine and a cosine take
    turns, and their frequencies fall from 1 towards 1e-4.
    """
    import torch

    half = channels // 2
    steps = torch.arange(0, half, 2, device=device)
    frequencies = torch.exp(steps * (-math.log(1e4) / half))

    def turned(count: int) -> "Tensor":
        angles = frequencies[:, None] * torch.arange(count, device=device)
        return torch.stack([angles.sin(), angles.cos()], dim=1).flatten(0, 1)

    across = turned(w)[:, None, :].expand(half, h, w)
    down = turned(h)[:, :, None].expand(half, h, w)
    return torch.cat([across, down])
