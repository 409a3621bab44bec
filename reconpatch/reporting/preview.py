"""A sheet of simulated defects, to be looked at before a network is trained on them."""

from pathlib import Path

import numpy as np
import torch

from reconpatch.datasets.category import Category
from reconpatch.features.images import image_batches
from reconpatch.refinement.defects import simulate
from reconpatch.refinement.foreground import foreground
from reconpatch.refinement.textures import Textures
from reconpatch.reporting.drawings import defects
from reconpatch.settings.features import FeatureSettings
from reconpatch.settings.refinement import RefinementSettings
from reconpatch.utils.files import atomic_write


def write_preview(
    category: Category,
    features: FeatureSettings,
    settings: RefinementSettings,
    textures: Textures,
    count: int,
    seed: int,
    path: Path,
) -> None:
    """Draw some training images with a simulated defect of each kind and its mask, as a PNG file.

    The ``count`` images are spread over all training images. Of the settings the kind of defect is
    not asked; ``seed`` decides all draws.

    Raises:
        InputError: an image or a texture cannot be read, or no defect shows on it.
    """
    rows = np.unique(np.linspace(0, len(category.train) - 1, count).astype(int))
    paths = [category.train[row].image for row in rows]
    batches = image_batches(paths, features, count, torch.get_num_threads())
    normal = [image.permute(1, 2, 0).numpy() for batch in batches for image in batch]
    simulated = {
        kind: [
            simulate(
                image,
                foreground(image),
                settings.model_copy(update={"anomaly": kind}),
                textures,
                np.random.default_rng([seed, row, 1]),
            )
            for row, image in zip(rows, normal, strict=True)
        ]
        for kind in ("structure", "texture")
    }
    with atomic_write(path) as aside:
        defects.draw(normal, simulated).savefig(aside, format="png", dpi=200)
