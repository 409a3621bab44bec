"""anomalib's k-centre coreset and PatchCore; anomalib is imported when they are called."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reconpatch.evaluation.auroc import auroc
from reconpatch.features.pretrained import load_backbone
from reconpatch.settings.recipe import Recipe

Aurocs = dict[str, float | None]


def k_center_greedy(features: Tensor, share: float, seed: int) -> Tensor:
    """The indices that anomalib's ``KCenterGreedy`` selects on a sparse random projection."""
    from anomalib.models.components import KCenterGreedy

    torch.manual_seed(seed)
    with _without_determinism(), torch.inference_mode():
        return torch.tensor(KCenterGreedy(features, share).select_coreset_idxs())


def patchcore(
    folder: Path, recipe: Recipe, weights_folder: Path, work: Path, threads: int
) -> Callable[[], Aurocs]:
    """Return a function that runs anomalib's PatchCore on a category in MVTec AD's layout.

    It uses anomalib's engine, data module and model, with the recipe's crop, feature maps and
    coreset share, and with the weights of our backbone. What PatchCore does not need is switched
    off: validation, normalised scores, thresholds, pictures. The AUROCs are computed from its raw
    scores and maps, because torchmetrics would apply a sigmoid first.
    """
    warnings.filterwarnings("ignore", category=FutureWarning)
    from anomalib.data import MVTecAD
    from anomalib.engine import Engine
    from anomalib.models import Patchcore
    from anomalib.pre_processing import PreProcessor
    from torchvision.transforms.v2 import CenterCrop, Compose, Normalize, Resize

    _quiet()
    settings = recipe.features
    ours = load_backbone(settings.backbone, settings.layers, weights_folder, torch.device("cpu"))
    transform = Compose(
        [
            Resize((settings.resize, settings.resize), antialias=True),
            CenterCrop(settings.crop),
            Normalize(ours.mean, ours.std),
        ]
    )

    def run() -> Aurocs:
        model = Patchcore(
            backbone="tf_efficientnet_lite0",
            layers=("blocks.2", "blocks.4"),  # strides 8 and 16
            pre_trained=False,
            coreset_sampling_ratio=recipe.detection.coreset_share,
            num_neighbors=recipe.detection.reweighting_neighbours,
            pre_processor=PreProcessor(transform=transform),
            post_processor=False,
            evaluator=False,
            visualizer=False,
        )
        network = model.model.feature_extractor.feature_extractor
        network.load_state_dict(ours.network.state_dict(), strict=True)
        images = MVTecAD(folder.parent, folder.name, num_workers=threads)
        engine = Engine(
            default_root_dir=work,
            accelerator="cpu",
            enable_model_summary=False,
            limit_val_batches=0,
        )
        with _without_determinism():
            engine.fit(model=model, datamodule=images)
            batches: list[Any] = engine.predict(model=model, datamodule=images)
        scores, maps = (
            np.concatenate([getattr(batch, name).numpy() for batch in batches])
            for name in ("pred_score", "anomaly_map")
        )
        anomalous = np.concatenate([batch.gt_label.numpy() for batch in batches]).astype(bool)
        masks = np.concatenate([batch.gt_mask.numpy() for batch in batches]).astype(bool)
        return {
            "image_auroc": auroc(scores, anomalous),
            "pixel_auroc": auroc(maps, masks.reshape(maps.shape)) if masks.any() else None,
        }

    return run


@contextmanager
def _without_determinism() -> Iterator[None]:
    """Run a block without torch's deterministic algorithms, which the package switches on."""
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(True)


def _quiet() -> None:
    """Silence log messages; lightning sets its loggers' levels when it is imported."""
    warnings.filterwarnings("ignore", module=r"(lightning|anomalib|torch)\.")
    for name in ("lightning.pytorch", "lightning.fabric", "anomalib"):
        logging.getLogger(name).setLevel(logging.ERROR)
