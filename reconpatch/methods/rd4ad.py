"""RD4AD: a student that decodes the teacher's maps from a bottleneck, and fails at defects.

Paper: Deng and Li, "Anomaly Detection via Reverse Distillation from One-Class Embedding",
CVPR 2022. Its authors' code (hq-deng/RD4AD) is under MIT and was not opened; anomalib 2.7.0's
(Apache-2.0) was read for what the paper leaves open, and none of it was taken.

Reads: layer maps, of layers 1 to 3. Learns: the one-class bottleneck embedding and the decoder.

Settings of the paper: WideResNet-50 at 256 px, Adam with learning rate 0.005 and betas 0.5 and
0.999, 16 images a mini-batch, 200 epochs, a Gaussian of sigma 4 on the maps, and an image's score
the maximum of its map: those here, but for the size, which a suite gives.

Departs from its paper: layers' maps are added on the finest layer's grid, and brought to the
image's size and smoothed together. The decoder takes its widths from the teacher's maps, so that
any backbone has one: for WideResNet-50 they are the paper's. Backbones with fewer channels than
ResNet-50, EfficientNets among them, get the blocks of ResNet-18, and WideResNet-101 the depth of
WideResNet-50. The student's maps are rectified where the teacher's are.
"""

from typing import TYPE_CHECKING, Literal

from reconpatch.methods.trained import TrainedMethod, TrainedRecipe
from reconpatch.settings.base import Count, Positive
from reconpatch.utils.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import torch
    from torch import Tensor, nn

    from reconpatch.features.layer_maps import LayerMaps


class RD4ADRecipe(TrainedRecipe):
    """RD4AD's settings."""

    method: Literal["RD4AD"] = "RD4AD"
    epochs: Count = 200
    batch_size: Count = 16
    learning_rate: Positive = 0.005


class RD4AD(TrainedMethod[RD4ADRecipe]):
    """What a student cannot say of its teacher's maps."""

    Recipe = RD4ADRecipe

    def build(self) -> "nn.Module":
        """Return embedding and decoder.

        Raises:
            InputError: a layer's grid is not half of the one before.
        """
        from reconpatch.methods.rd4ad_network import ReverseDistillation

        for (_, *finer), (_, *coarser) in zip(self.shapes, self.shapes[1:], strict=False):
            if coarser != [-(-side // 2) for side in finer]:
                raise InputError(
                    f"RD4AD needs layers whose grids halve from one to the next; {finer} is "
                    f"followed by {coarser}. Name layers one after the other, as in [1, 2, 3]."
                )
        return ReverseDistillation([channels for channels, _, _ in self.shapes])

    def prepare(self, maps: "LayerMaps", category: str) -> None:
        """Look at a few images whether the teacher's maps are rectified."""
        import torch

        few = self.on_device(maps[: self.recipe.batch_size])
        rectified = torch.stack([layer.min() >= 0 for layer in few])
        self.network.get_buffer("rectified").copy_(rectified)

    def optimizer(self) -> "torch.optim.Optimizer":
        """Return Adam with the paper's betas."""
        import torch

        return torch.optim.Adam(
            self.network.parameters(), lr=self.recipe.learning_rate, betas=(0.5, 0.999)
        )

    def losses(self, maps: "list[Tensor]", random: "np.random.Generator") -> "Iterator[Tensor]":
        """Yield the sum over layers of 1 less the cosine of an image's whole maps, on the mean."""
        import torch
        from torch.nn.functional import cosine_similarity

        cosines = [
            cosine_similarity(own.flatten(1), layer.flatten(1)).mean()
            for own, layer in zip(self.network(maps), maps, strict=True)
        ]
        yield len(maps) - torch.stack(cosines).sum()

    def patch_scores(self, maps: "list[Tensor]") -> "Tensor":
        """Return the sum over layers of 1 less the cosine at each place of the finest grid."""
        import torch
        from torch.nn.functional import cosine_similarity, interpolate

        found = [
            interpolate(
                1 - cosine_similarity(own, layer)[:, None],
                maps[0].shape[2:],
                mode="bilinear",
                align_corners=True,
            )
            for own, layer in zip(self.network(maps), maps, strict=True)
        ]
        return torch.cat(found, dim=1).sum(dim=1)
