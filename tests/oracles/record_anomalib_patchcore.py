"""Record the PatchCore scores of anomalib 2.7.0 for given patch features and a given memory bank.

The project's tests compare its own scoring with this record, so anomalib itself is not needed to
run them. To make the record again, in an environment of its own:

    pip install anomalib==2.7.0 torch==2.14.1 torchvision==0.29.1 timm==1.0.31
    python tests/oracles/record_anomalib_patchcore.py

It writes ``anomalib_patchcore.npz`` beside itself. Patch (row, column) of image i is
``embeddings[i, row, column]``, and rows and columns keep that order in ``patch_scores`` and
``anomaly_maps``; the record is not written if anomalib's own forward pass, given the same features,
disagrees with the steps called here one by one.
"""

import os
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from anomalib.models.image.patchcore.torch_model import PatchcoreModel
from torch import Tensor, nn

SEED = 20240104
LAYER = "layer1"
CLUSTERS, PER_CLUSTER, DIMENSIONS = 8, 8, 16
IMAGES, GRID, MAP_SIZE = 6, 7, 56
NEIGHBOURS, SIGMA = 9, 4
# How far the off-bank patches of each image lie from the bank, roughly: two images have none.
SHIFTS = (0.0, 0.0, 1.5, 2.5, 3.5, 5.0)
PATCHES_SHIFTED = 6
PACKAGES = ("anomalib", "torch", "torchvision", "timm", "kornia", "numpy")
OUTPUT = Path(__file__).with_name("anomalib_patchcore.npz")


class Given(nn.Module):
    """Stands in for the backbone: returns the given feature map whatever the images are."""

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.features = features

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {LAYER: self.features}


def setting() -> tuple[Tensor, Tensor]:
    """A clustered bank [64, 16], and embeddings [6, 7, 7, 16] of which some lie far from it."""
    rng = np.random.default_rng(SEED)
    centres = rng.normal(size=(CLUSTERS, 1, DIMENSIONS))
    bank = centres + 0.4 * rng.normal(size=(CLUSTERS, PER_CLUSTER, DIMENSIONS))
    bank = rng.permutation(bank.reshape(-1, DIMENSIONS))

    patches = bank[rng.integers(len(bank), size=(IMAGES, GRID * GRID))]
    patches += 0.2 * rng.normal(size=patches.shape)
    for image, shift in enumerate(SHIFTS):
        direction = rng.normal(size=(PATCHES_SHIFTED, DIMENSIONS))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        where = rng.choice(GRID * GRID, size=PATCHES_SHIFTED, replace=False)
        patches[image, where] += shift * direction
    embeddings = patches.reshape(IMAGES, GRID, GRID, DIMENSIONS)
    return torch.from_numpy(bank).float(), torch.from_numpy(embeddings).float()


def make_model(bank: Tensor, embeddings: Tensor) -> PatchcoreModel:
    """Anomalib's model with its memory bank filled and its backbone's features replaced."""
    model = PatchcoreModel(
        layers=[LAYER], backbone="test_resnet", pre_trained=False, num_neighbors=NEIGHBOURS
    )
    model.add_module("feature_extractor", Given(embeddings.permute(0, 3, 1, 2)))
    model.add_module("feature_pooler", nn.Identity())
    model.memory_bank = bank
    blur = model.anomaly_map_generator.blur
    side = 2 * 4 * SIGMA + 1
    if (blur.height, blur.width, blur.border_type) != (side, side, "reflect"):
        raise RuntimeError(f"the model's blur is not the default one of sigma {SIGMA}")
    return model.eval()


def record() -> dict[str, np.ndarray]:
    """Run anomalib's scoring; the result is named as in the file."""
    bank, embeddings = setting()
    model = make_model(bank, embeddings)
    patches = embeddings.reshape(-1, DIMENSIONS)

    distances, nearest = model.nearest_neighbors(patches, n_neighbors=1)
    patch_scores = distances.reshape(IMAGES, -1)
    image_scores = model.compute_anomaly_score(patch_scores, nearest.reshape(IMAGES, -1), patches)
    grid = patch_scores.reshape(IMAGES, 1, GRID, GRID)
    maps = model.anomaly_map_generator(grid, (MAP_SIZE, MAP_SIZE))

    forward = model(torch.zeros(IMAGES, 3, MAP_SIZE, MAP_SIZE))
    torch.testing.assert_close(forward.pred_score, image_scores)
    torch.testing.assert_close(forward.anomaly_map, maps)

    return {
        "memory_bank": bank.numpy(),
        "embeddings": embeddings.numpy(),
        "patch_scores": grid[:, 0].numpy(),
        "image_scores": image_scores.numpy(),
        "anomaly_maps": maps[:, 0].numpy(),
        "versions": np.array([f"{name}=={version(name)}" for name in PACKAGES]),
    }


def main() -> None:
    torch.set_num_threads(1)
    with torch.inference_mode():
        arrays = record()
    aside = OUTPUT.with_name(f".{OUTPUT.name}.{os.getpid()}.part")
    try:
        with aside.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        aside.replace(OUTPUT)
    finally:
        aside.unlink(missing_ok=True)
    for name, array in arrays.items():
        print(name, array.dtype, array.shape)


if __name__ == "__main__":
    main()
