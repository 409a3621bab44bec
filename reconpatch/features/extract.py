"""A category's patch features on disk: computed where those that are there are not current."""

from pathlib import Path

import torch

from reconpatch.datasets.category import Category
from reconpatch.features.arrays import ARRAYS, write_arrays
from reconpatch.features.backbones import build_backbone, map_indices
from reconpatch.features.presets import timm_name
from reconpatch.features.pretrained import find_weights
from reconpatch.features.store import FeatureStore
from reconpatch.settings.features import ExtractionSettings
from reconpatch.utils.fingerprint import code_fingerprint, fingerprint
from reconpatch.utils.provenance import Stopwatch, provenance
from reconpatch.utils.record import is_current, write_record
from reconpatch.utils.steps import STEPS


def extract(
    category: Category,
    settings: ExtractionSettings,
    folder: Path,
    *,
    weights_folder: Path,
    device: torch.device,
    threads: int,
    batch_size: int | None = None,
) -> FeatureStore:
    """Have the patch features of all images of a category in ``folder``.

    Those that are there stay where they are current: made of the same images, settings, backbone,
    weights and code. ``features.json`` is written last: where it stands, the folder is complete.
    Memory is that of three batches of images and one of feature maps. The features themselves go
    straight to disk, ``4 * h * w * D`` bytes an image, half of that as float16. A split that the
    settings leave out has no images there.

    Args:
        category: whose images.
        settings: how the features are made.
        folder: where they go.
        weights_folder: where local weight files lie.
        device: where the backbone runs.
        threads: how many decode images.
        batch_size: images that go through the backbone together; None to have the device and the
            image's size decide.

    Raises:
        InputError: an image or mask cannot be read or is not the one that was listed, or the
            backbone or its weights are not to be had.
    """
    # The same images may have moved.
    category.write(folder / "category.json")
    backbone_name = timm_name(settings.features.backbone)
    watch = Stopwatch()
    with watch("backbone"):
        indices = map_indices(backbone_name, settings.features.layers)
        weights = find_weights(settings.features.backbone, weights_folder)
    record = folder / "features.json"
    code = code_fingerprint(*STEPS["extract"])
    made_of = fingerprint(category.sha256, settings.key, backbone_name, weights.sha256, code)
    if is_current(record, made_of):
        return FeatureStore(folder)
    # What reads features goes by their record, which must not stand beside another's arrays.
    record.unlink(missing_ok=True)
    with watch("backbone"):
        backbone = build_backbone(backbone_name, indices, weights, device)
    layer_shapes = write_arrays(
        category, settings, backbone, folder, threads=threads, batch_size=batch_size, watch=watch
    )
    # Not before, as they may have changed while they were read.
    category.check_unchanged()
    write_record(
        record,
        made_of,
        {
            "dataset": category.dataset,
            "category": category.name,
            "data_sha256": category.sha256,
            "settings": settings.model_dump(),
            "layer_shapes": layer_shapes,
            "weights": {"source": weights.source, "sha256": weights.sha256},
            **watch.record(),
            **provenance(device),
        },
        ARRAYS,
    )
    return FeatureStore(folder)
