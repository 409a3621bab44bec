"""What a method says of images."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Scores:
    """What a method says of images.

    Attributes:
        images: one score an image, ``(N,)``; higher is more anomalous.
        patches: one score a patch, ``(N, h, w)``.
    """

    images: Array
    patches: Array

    @classmethod
    def of(cls, patches: Tensor) -> "Scores":
        """Return patch scores ``(N, h, w)`` with the largest of each image as the image's."""
        return cls(patches.amax(dim=(1, 2)).cpu().numpy(), patches.cpu().numpy())

    @classmethod
    def joined(cls, parts: "Iterable[Scores]") -> "Scores":
        """Return the scores of images that were scored in parts."""
        images, patches = zip(*((part.images, part.patches) for part in parts), strict=True)
        return cls(np.concatenate(images), np.concatenate(patches))
