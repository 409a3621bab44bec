"""PaDiM: a Gaussian at every place of the image, over channels drawn at random from three layers.

Paper: Defard et al., "PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and
Localization", ICPR Workshops 2020. Its authors gave no code. Two others' were read for what the
paper leaves open, and none of it was taken: anomalib 2.7.0 (Apache-2.0) and xiahaifeng1995's
PaDiM-Anomaly-Detection-Localization, whose licence was not at hand.

Reads: layer maps, of layers 1 to 3. Learns: nothing.

Settings of the paper: 550 channels of WideResNet-50's 1,792 (100 of ResNet-18's 448), 0.01 I on
each covariance, images resized to 256 px and cropped to 224, a Gaussian of sigma 4 on the maps, and
an image's score the maximum of its map: those here. Coarser maps repeat their pixels on the finest
grid, as both codes do.

Departs from its paper: nowhere that is known. A backbone with fewer channels gives all of them.
"""

from typing import TYPE_CHECKING, Literal

from reconpatch.methods.method import Method, Needs, Sizes, TrainingSet
from reconpatch.settings.base import Count, Positive
from reconpatch.settings.features import FeatureSettings
from reconpatch.settings.recipe import Recipe
from reconpatch.utils.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from reconpatch.detection.scores import Scores
    from reconpatch.features.layer_maps import LayerMaps

BLOCK = 2**28
"""Bytes of the arrays that places are fitted in, and images scored in, at a time: 256 MiB."""

DELAY = 10
"""Seconds after which work shows its progress."""


class PaDiMRecipe(Recipe):
    """PaDiM's settings.

    Attributes:
        dimension: how many channels are drawn, d; all where a backbone has no more.
        regularization: what is added to each covariance's diagonal.
    """

    reads = "layer maps"

    method: Literal["PaDiM"] = "PaDiM"
    features: FeatureSettings = FeatureSettings(layers=(1, 2, 3))
    dimension: Count = 550
    regularization: Positive = 0.01


class PaDiM(Method[PaDiMRecipe]):
    """Mahalanobis distances to a Gaussian at each place.

    Attributes:
        channels: those drawn, ``(d,)``, counted through the layers, on the CPU.
        mean: of each of the P places, ``(P, d)``.
        whitening: the inverse Cholesky factor of each place's covariance, ``(P, d, d)``.
    """

    Recipe = PaDiMRecipe
    channels: "Tensor"
    mean: "Tensor"
    whitening: "Tensor"

    @classmethod
    def needs(cls, recipe: PaDiMRecipe, sizes: Sizes, *, on_gpu: bool) -> Needs:
        """Return the model's ``4 P d (d + 1) + 8 d`` bytes, and twice ``BLOCK`` beside it.

        All the time there are also the training maps' chosen channels, at most all of them. Where a
        backbone has fewer channels than are asked for, less is taken.
        """
        d = recipe.dimension
        model = 4 * sizes.places * d * (d + 1) + 8 * d
        chosen = 4 * sizes.train_patches * sizes.dimension
        return Needs(0, 0, model, model + chosen + 2 * BLOCK)

    def fit(self, training: TrainingSet) -> None:
        """Draw the channels, and fit a Gaussian at each place.

        Raises:
            InputError: there are fewer than two training images.
        """
        import numpy as np
        import torch

        maps: LayerMaps = training.patches
        if len(maps) < 2:
            raise InputError("PaDiM needs two training images or more, to have a covariance.")
        channels = sum(layer.shape[1] for layer in maps.layers())
        d = min(self.recipe.dimension, channels)
        drawn = np.random.default_rng(training.seed).choice(channels, d, replace=False)
        self.channels = torch.from_numpy(np.sort(drawn))
        places = maps.shape[1] * maps.shape[2]
        self.mean = torch.empty(places, d, device=self.device)
        self.whitening = torch.empty(places, d, d, device=self.device)
        for block, vectors in self._blocks(maps, f"{training.category} Gaussians"):
            mean = vectors.mean(dim=1)
            self.mean[block] = mean.float()
            self.whitening[block] = self._whitening(vectors - mean[:, None], len(maps) - 1).float()

    def score(self, maps: "LayerMaps") -> "Scores":
        """Return Mahalanobis distances ``(N, h, w)``, and the largest of each smoothed map."""
        from tqdm import tqdm

        from reconpatch.detection.scores import Scores
        from reconpatch.utils.halving import Blocks

        parts = []
        blocks = Blocks(max(1, BLOCK // (8 * self.mean.numel())))
        with tqdm(total=len(maps), desc="PaDiM", unit="image", delay=DELAY) as progress:
            for part in blocks(self._score, maps):
                parts.append(part)
                progress.update(len(part.images))
        return Scores.joined(parts)

    def score_training(self, training: TrainingSet, images: int | None = None) -> "Scores":
        """Score training images, each by the Gaussians that the others alone would give.

        Without image i, of n, the scatter S about the mean loses ``n / (n - 1) u u^T``, with u what
        the image differs from the mean by, and the image differs from the others' mean by
        ``n / (n - 1) u``. With ``C = S / (n - 2) + 0.01 I`` and ``q = u^T C^-1 u``, the rank-one
        downdate of C's inverse gives the squared distance
        ``(n / (n - 1))^2 q / (1 - n q / ((n - 1) (n - 2)))``.

        Raises:
            InputError: there are fewer than three training images.
        """
        import torch

        maps: LayerMaps = training.patches
        n = len(maps)
        if n < 3:
            raise InputError("PaDiM needs three training images or more, to leave one out.")
        squared = torch.empty(len(self.mean), min(images or n, n), device=self.device)
        for block, vectors in self._blocks(maps, f"{training.category} training scores"):
            centred = vectors - vectors.mean(dim=1, keepdim=True)
            whitening = self._whitening(centred, n - 2)
            q = (centred[:, :images] @ whitening.mT).square().sum(dim=2)
            squared[block] = (n / (n - 1)) ** 2 * q / (1 - n * q / ((n - 1) * (n - 2)))
        return self._scores(squared.sqrt(), maps)

    def tensors(self) -> "dict[str, Tensor]":
        """Return the Gaussians and the channels that they are over."""
        return {
            "channels": self.channels,
            "mean": self.mean.cpu(),
            "whitening": self.whitening.cpu(),
        }

    def load(self, tensors: "dict[str, Tensor]") -> None:
        """Take the Gaussians and the channels that they are over."""
        self.channels = tensors["channels"]
        self.mean = tensors["mean"].to(self.device)
        self.whitening = tensors["whitening"].to(self.device)

    def counts(self) -> dict[str, int]:
        """Return the number of Gaussians and their dimension."""
        places, dimension = self.mean.shape
        return {"gaussians": places, "dimension": dimension}

    def _chosen(self, maps: "LayerMaps") -> "list[Tensor]":
        """The drawn channels of each layer's maps ``(N, c, h, w)``, on the device."""
        found, first = [], 0
        for layer in maps.layers():
            own = self.channels - first
            own = own[(own >= 0) & (own < layer.shape[1])]
            found.append(layer[:, own.to(layer.device)].to(self.device).float())
            first += layer.shape[1]
        return found

    def _vectors(self, chosen: "list[Tensor]", places: "Tensor") -> "Tensor":
        """The drawn channels ``(p, N, d)`` at places of the finest grid, counted row by row."""
        import torch

        height, width = chosen[0].shape[2:]
        parts = []
        for layer in chosen:
            h, w = layer.shape[2:]
            at = (places // width * h // height) * w + places % width * w // width
            parts.append(layer.flatten(2).index_select(2, at))
        return torch.cat(parts, dim=1).permute(2, 0, 1)

    def _blocks(self, maps: "LayerMaps", description: str) -> "Iterator[tuple[slice, Tensor]]":
        """Yield places, with the training vectors ``(p, N, d)`` there in double precision."""
        import torch
        from tqdm import tqdm

        from reconpatch.utils.precision import widest

        chosen = self._chosen(maps)
        d, (n, height, width) = len(self.channels), maps.shape
        # Vectors, and what they differ from the mean by; covariance, factor, and its inverse.
        size = max(1, BLOCK // (8 * (2 * n * d + 3 * d * d)))
        with tqdm(total=height * width, desc=description, unit="place", delay=DELAY) as progress:
            for first in range(0, height * width, size):
                block = slice(first, min(first + size, height * width))
                places = torch.arange(block.start, block.stop, device=self.device)
                yield block, self._vectors(chosen, places).to(widest(self.device))
                progress.update(len(places))

    def _whitening(self, centred: "Tensor", degrees: int) -> "Tensor":
        """The inverse Cholesky factors W ``(p, d, d)``; ``|W u|`` is u's Mahalanobis length."""
        import torch

        covariance = centred.mT @ centred / degrees
        covariance.diagonal(dim1=1, dim2=2).add_(self.recipe.regularization)
        unit = torch.eye(centred.shape[2], dtype=centred.dtype, device=centred.device)
        factor = torch.linalg.cholesky(covariance)
        inverse: Tensor = torch.linalg.solve_triangular(factor, unit, upper=False)
        return inverse

    def _score(self, maps: "LayerMaps") -> "Scores":
        import torch

        everywhere = torch.arange(len(self.mean), device=self.device)
        differences = self._vectors(self._chosen(maps), everywhere) - self.mean[:, None]
        return self._scores((differences @ self.whitening.mT).norm(dim=2), maps)

    def _scores(self, distances: "Tensor", maps: "LayerMaps") -> "Scores":
        """The scores of distances ``(P, N)``."""
        from reconpatch.detection.smoothed import smoothed_scores

        patches = distances.T.reshape(-1, *maps.shape[1:]).cpu().numpy()
        return smoothed_scores(patches, self.recipe)
