"""CFA: a learned patch descriptor whose outputs gather around memorised centroids.

Paper: Lee, Lee and Song, "CFA: Coupled-hypersphere-based Feature Adaptation for Target-Oriented
Anomaly Localization", IEEE Access, 2022. Its authors' code has no licence and was not used;
anomalib 2.7.0 (Apache-2.0) was read for what the paper leaves open, and none of it was taken.

Reads: layer maps, of layers 1 to 3. Learns: a 1 x 1 convolution that also sees where it stands.

Settings of the paper: WideResNet-50, images resized to 256 px and cropped to 224, 30 epochs,
4 images a mini-batch, AdamW with AMSGrad, learning rate 1e-3 and weight decay 5e-4, K = J = 3,
radius 1e-5, memory and descriptor not compressed, a Gaussian of sigma 4 on the maps, and an
image's score the maximum of its map: those here. With that radius nothing is ever pushed away.

Departs from its paper: a centroid is the mean descriptor of the training images at its place,
before any step, as public code has it; the paper moves centroids image by image to what is
nearest. The radius is fixed; the authors' code trains it. Of the paper, its abstract alone could be
had: the rest is known from what others write of it, and is to be checked against the paper.
"""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from reconpatch.methods.trained import TrainedMethod, TrainedRecipe
from reconpatch.settings.base import Count, Positive

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import torch
    from torch import Tensor, nn

    from reconpatch.features.layer_maps import LayerMaps

BLOCK = 2**24
"""Distances that are searched at a time: 64 MiB."""


class CFARecipe(TrainedRecipe):
    """CFA's settings.

    Attributes:
        weight_decay: of every step.
        neighbours: K, the nearest centroids that a descriptor is drawn to, and that score it.
        negatives: J, the next nearest, which it is pushed from.
        radius: r, of the hyperspheres around centroids.
        margin: alpha, by which the push is less.
    """

    method: Literal["CFA"] = "CFA"
    epochs: Count = 30
    batch_size: Count = 4
    learning_rate: Positive = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    neighbours: Count = 3
    negatives: Count = 3
    radius: Positive = 1e-5
    margin: Annotated[float, Field(ge=0)] = 0.1


class CFA(TrainedMethod[CFARecipe]):
    """Distances of descriptors to the nearest centroids.

    The network's ``centroids`` are ``(h w, D)``, of all D channels and each place of the finest
    grid; its ``descriptor`` makes D channels of D and two coordinates.
    """

    Recipe = CFARecipe

    def build(self) -> "nn.Module":
        """Return the descriptor, and centroids that are not yet set."""
        import torch
        from torch import nn

        channels = sum(shape[0] for shape in self.shapes)
        _, height, width = self.shapes[0]
        network = nn.Module()
        network.add_module("descriptor", nn.Conv2d(channels + 2, channels, 1))
        network.register_buffer("centroids", torch.zeros(height * width, channels))
        return network

    def optimizer(self) -> "torch.optim.Optimizer":
        """Return AdamW with AMSGrad."""
        import torch

        return torch.optim.AdamW(
            self.network.parameters(),
            lr=self.recipe.learning_rate,
            weight_decay=self.recipe.weight_decay,
            amsgrad=True,
        )

    def prepare(self, maps: "LayerMaps", category: str) -> None:
        """Set the centroids to the mean descriptor at each place."""
        import torch
        from tqdm import tqdm

        from reconpatch.utils.epochs import DELAY
        from reconpatch.utils.halving import Blocks

        def summed(some: "LayerMaps") -> "tuple[Tensor, int]":
            descriptors = self.describe(self.on_device(some))
            return descriptors.unflatten(0, (len(some), -1)).sum(dim=0), len(some)

        centroids = self.network.get_buffer("centroids")
        total = torch.zeros_like(centroids)
        description = f"{category} CFA centroids"
        with (
            torch.no_grad(),
            tqdm(total=len(maps), desc=description, unit="image", delay=DELAY) as progress,
        ):
            for part, images in Blocks(self.recipe.batch_size)(summed, maps):
                total += part
                progress.update(images)
        centroids.copy_(total / len(maps))

    def losses(self, maps: "list[Tensor]", random: "np.random.Generator") -> "Iterator[Tensor]":
        """Yield ``L_att + L_rep``, the pull into K hyperspheres and the push out of J others.

        ``L_att`` is the mean of ``max(0, D - r^2)`` over descriptors and their K nearest centroids,
        ``L_rep`` that of ``max(0, r^2 - D - alpha)`` over the J next ones; D is a squared distance.
        """
        recipe = self.recipe
        squared = self._nearest(self.describe(maps), recipe.neighbours + recipe.negatives)
        near, next_ones = squared[:, : recipe.neighbours], squared[:, recipe.neighbours :]
        pull = (near - recipe.radius**2).relu().mean()
        push = (recipe.radius**2 - next_ones - recipe.margin).relu().mean()
        yield pull + push

    def patch_scores(self, maps: "list[Tensor]") -> "Tensor":
        """Return distances to the nearest centroid, each times its softmin among the K nearest."""
        distances = self._nearest(self.describe(maps), self.recipe.neighbours).sqrt()
        scores = distances[:, 0] * (-distances).softmax(dim=1)[:, 0]
        return scores.view(-1, *self.shapes[0][1:])

    def describe(self, maps: "list[Tensor]") -> "Tensor":
        """Return the descriptors ``(B h w, D)`` of maps averaged over 3 x 3 pixels."""
        import torch
        from torch.nn.functional import avg_pool2d, interpolate

        count, _, height, width = maps[0].shape
        pooled = [avg_pool2d(layer, 3, stride=1, padding=1) for layer in maps]
        parts = [pooled[0]]
        parts += [interpolate(layer, (height, width), mode="bilinear") for layer in pooled[1:]]
        rows, columns = (
            torch.linspace(-1, 1, size, device=self.device) for size in (height, width)
        )
        where = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
        seen = torch.cat([*parts, where.expand(count, -1, -1, -1)], dim=1)
        described: Tensor = self.network.get_submodule("descriptor")(seen)
        return described.movedim(1, 3).flatten(0, 2)

    def _nearest(self, descriptors: "Tensor", count: int) -> "Tensor":
        """The squared distances ``(T, k)`` of descriptors ``(T, D)`` to their nearest centroids.

        Matrix products find these, and differences give the distances: near a centroid, products
        would lose them to rounding.
        """
        import torch

        centroids = self.network.get_buffer("centroids")
        norms = centroids.square().sum(dim=1)
        found = []
        with torch.no_grad():
            for some in descriptors.split(max(1, BLOCK // len(centroids))):
                compared = torch.addmm(norms, some, centroids.T, alpha=-2)
                found.append(compared.topk(min(count, len(centroids)), largest=False).indices)
        chosen = torch.cat(found)
        squared = [
            (descriptors - centroids[which]).square().sum(dim=1) for which in chosen.unbind(dim=1)
        ]
        return torch.stack(squared, dim=1).sort(dim=1).values
