"""SPADE: nearest images by their pooled features, then nearest pixels among those images.

Paper: Cohen and Hoshen, "Sub-Image Anomaly Detection with Deep Pyramid Correspondences",
arXiv:2005.02357, 2020. Its authors gave no code. byungjae89's SPADE-pytorch, whose licence was not
at hand, was read for what the paper leaves open, and none of it was taken.

Reads: layer maps, of layers 1 to 4. Learns: nothing; the training images' maps are the model.

Settings of the paper: WideResNet-50, images resized to 256 px and cropped to 224, layers 1 to 3,
the 50 nearest training images, one nearest pixel, a Gaussian of sigma 4 on the maps: those here.

Departs from its paper: an image is looked up by the mean of its deepest map, which for a ResNet is
the pooled vector of the paper; EfficientNets have one more convolution before theirs. Scores are
distances, as public code has them. The layers' maps are averaged on the finest layer's grid, and
brought to the image's size and smoothed together.
"""

from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from reconpatch.methods.method import Method, Needs, Sizes, TrainingSet
from reconpatch.settings.base import Count
from reconpatch.settings.features import FeatureSettings
from reconpatch.settings.recipe import Recipe
from reconpatch.utils.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from reconpatch.detection.scores import Scores
    from reconpatch.features.layer_maps import LayerMaps

QUERIES, GALLERY = 512, 1024
"""How many pixels are compared with how many at a time on a CPU: 2 MiB, which caches hold."""

ON_GPU = 8192
"""How many of either on a GPU: 256 MiB."""

DELAY = 10
"""Seconds after which scoring shows its progress."""


class SPADERecipe(Recipe):
    """SPADE's settings.

    Attributes:
        neighbours: how many training images are looked up, K; all where there are no more.
    """

    reads = "layer maps"

    method: Literal["SPADE"] = "SPADE"
    features: FeatureSettings = FeatureSettings(layers=(1, 2, 3, 4))
    neighbours: Count = 50

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.features.layers) < 2:
            raise ValueError(
                "SPADE needs two layers or more: the deepest tells which images are alike, the "
                "others which pixels"
            )
        return self


class SPADE(Method[SPADERecipe]):
    """The training images' maps, searched twice.

    Attributes:
        normal: those maps, where they lie.
        pooled: means of the deepest, ``(N, C)``.
    """

    Recipe = SPADERecipe
    normal: "LayerMaps"
    pooled: "Tensor"

    @classmethod
    def needs(cls, recipe: SPADERecipe, sizes: Sizes, *, on_gpu: bool) -> Needs:
        """Return the training maps' bytes for the model; beside them K images' maps twice.

        That is at most: the vectors of one layer as they are, and from their mean. The comparisons
        at work take ``4 QUERIES GALLERY`` bytes besides, on a GPU ``4 ON_GPU^2``.
        """
        stored = 2 if recipe.features.stored_as == "float16" else 4
        image = sizes.places * sizes.dimension
        alike = min(recipe.neighbours, sizes.train_images)
        compared = ON_GPU**2 if on_gpu else QUERIES * GALLERY
        return Needs(0, 0, stored * sizes.train_images * image, 4 * (2 * alike * image + compared))

    def fit(self, training: TrainingSet) -> None:
        """Keep the training images' maps."""
        self._keep(training.patches)

    def score(self, maps: "LayerMaps") -> "Scores":
        """Return mean distances to the K nearest images, and pixels' distances ``(N, h, w)``."""
        return self._score(maps, [None] * len(maps))

    def score_training(self, training: TrainingSet, images: int | None = None) -> "Scores":
        """Score training images by the others."""
        maps: LayerMaps = training.patches[:images]
        return self._score(maps, list(range(len(maps))))

    def score_left_out(self, maps: "LayerMaps", image: int) -> "Scores":
        """Score by the other training images."""
        return self._score(maps, [image] * len(maps))

    def tensors(self) -> "dict[str, Tensor]":
        """Return the training images' maps."""
        import torch

        packed = torch.as_tensor(self.normal.packed)
        return {"packed": packed, "shapes": torch.tensor(self.normal.shapes)}

    def load(self, tensors: "dict[str, Tensor]") -> None:
        """Take the training images' maps."""
        from reconpatch.features.layer_maps import LayerMaps

        self._keep(LayerMaps(tensors["packed"], tensors["shapes"].tolist()))

    def _keep(self, normal: "LayerMaps") -> None:
        self.normal = normal
        self.pooled = self._pooled(normal)

    def _pooled(self, maps: "LayerMaps") -> "Tensor":
        return maps.layers()[-1].to(self.device).float().mean(dim=(2, 3))

    def _score(self, maps: "LayerMaps", without: list[int | None]) -> "Scores":
        """Score images, each without a training image or with all."""
        import numpy as np
        import torch
        from tqdm import tqdm

        from reconpatch.detection.scores import Scores

        if len(self.pooled) == 1 and without != [None] * len(maps):
            raise InputError("SPADE needs two training images or more, to leave one out.")
        images = np.empty(len(maps), np.float32)
        patches = np.empty(maps.shape, np.float32)
        exact = "donot_use_mm_for_euclid_dist"
        for i, left_out in enumerate(tqdm(without, desc="SPADE", unit="image", delay=DELAY)):
            image = maps[i : i + 1]
            distances = torch.cdist(self._pooled(image), self.pooled, compute_mode=exact)[0]
            others = len(distances)
            if left_out is not None:
                distances[left_out] = torch.inf
                others -= 1
            nearest = distances.topk(min(self.recipe.neighbours, others), largest=False)
            images[i] = nearest.values.mean()
            patches[i] = self._pixels(image, nearest.indices.cpu())
        return Scores(images, patches)

    def _pixels(self, image: "LayerMaps", alike: "Tensor") -> "Tensor":
        """One image's distances to the nearest pixels of images alike, ``(h, w)`` on the CPU."""
        import torch
        from torch.nn.functional import interpolate

        found = []
        for own, normal in zip(image.layers()[:-1], self.normal.layers()[:-1], strict=True):
            distances = _nearest(self._vectors(own), self._vectors(normal[alike]))
            grid = distances.view(1, 1, *own.shape[2:])
            found.append(interpolate(grid, image.shape[1:], mode="bilinear"))
        return torch.cat(found).mean(dim=(0, 1)).cpu()

    def _vectors(self, layer: "Tensor") -> "Tensor":
        """The pixels ``(N h w, C)`` of maps, on the device."""
        return layer.to(self.device).float().movedim(1, 3).flatten(0, 2)


def _nearest(queries: "Tensor", gallery: "Tensor") -> "Tensor":
    """The distances ``(Q,)`` of queries ``(Q, C)`` to the nearest of a gallery ``(G, C)``.

    Matrix products give squared distances. Both sides are seen from the gallery's mean, so that
    rounding scales with their spread.
    """
    import torch

    mean = gallery.mean(dim=0)
    gallery, queries = gallery - mean, queries - mean
    norms = gallery.square().sum(dim=1)
    rows, columns = (ON_GPU, ON_GPU) if queries.is_cuda else (QUERIES, GALLERY)
    found = []
    for some in queries.split(rows):
        least = some.new_full((len(some),), torch.inf)
        for vectors, squared in zip(gallery.split(columns), norms.split(columns), strict=True):
            compared = torch.addmm(squared, some, vectors.T, alpha=-2)
            least = torch.minimum(least, compared.amin(dim=1))
        found.append(least + some.square().sum(dim=1))
    return torch.cat(found).clamp(min=0).sqrt()
