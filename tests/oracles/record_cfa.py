"""Record what anomalib 2.7.0's CFA makes of given layer maps and a given descriptor.

The project's tests compare its own CFA with this record, so anomalib itself is not needed to run
them. To make the record again, in an environment of its own:

    pip install anomalib==2.7.0 torch==2.14.1 torchvision==0.29.1 timm==1.0.31
    python tests/oracles/record_cfa.py

It writes ``cfa.npz`` beside itself: layer maps ``train_K`` and ``test_K`` as ``(N, C, h, w)``, the
descriptor's weight and bias, and what anomalib's model makes of them: centroids ``(h w, D)``, the
loss of all training images at two radii, and of the test images scores ``(N, h, w)``, maps
``(N, S, S)`` and image scores ``(N,)``.
"""

import os
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from anomalib.models.image.cfa import torch_model
from anomalib.models.image.cfa.loss import CfaLoss
from torch import Tensor, nn

SEED = 20220609
SHAPES = ((4, 6, 6), (5, 3, 3), (6, 2, 2))
TRAIN, TEST, MAP_SIZE = 7, 4, 48
# At the paper's radius nothing is pushed; at the other, some.
RADII = (1e-5, 0.7)
PACKAGES = ("anomalib", "torch", "torchvision", "timm", "kornia", "numpy")
OUTPUT = Path(__file__).with_name("cfa.npz")


class Given(nn.Module):
    """Stands in for the backbone: returns the given maps whatever the images are."""

    def __init__(self) -> None:
        super().__init__()
        self.maps: list[Tensor] = []
        self.somewhere = nn.Parameter(torch.zeros(()))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {str(number): layer for number, layer in enumerate(self.maps)}


def setting() -> tuple[list[Tensor], list[Tensor]]:
    """Maps to train and to test on, with two images far off at some places."""
    rng = np.random.default_rng(SEED)
    train, test = [], []
    for shape in SHAPES:
        both = rng.normal(size=shape) + 0.3 * rng.normal(size=(TRAIN + TEST, *shape))
        both[-2:, :, : shape[1] // 2, -1] += 2 * rng.normal(size=shape[0])[:, None]
        train.append(torch.from_numpy(both[:TRAIN]).float())
        test.append(torch.from_numpy(both[TRAIN:]).float())
    return train, test


def record() -> dict[str, np.ndarray]:
    """Run anomalib's model; the result is named as in the file."""
    train, test = setting()
    given = Given()
    torch_model.get_feature_extractor = lambda *_: given
    model = torch_model.CfaModel("resnet18", 1, 1, 3, 3, RADII[0])
    model.get_scale = lambda _: torch.Size(SHAPES[0][1:])
    torch.manual_seed(SEED)
    channels = sum(shape[0] for shape in SHAPES)
    model.descriptor.layer = torch_model.CoordConv2d(channels, channels, 1)
    images = torch.zeros(TRAIN, 3, MAP_SIZE, MAP_SIZE)
    given.maps = train
    model.initialize_centroid([SimpleNamespace(image=images)])
    model.train()
    distances = model(images)
    losses = [CfaLoss(3, 3, radius)(distances) for radius in RADII]
    model.eval()
    given.maps = test
    found = model(images[:TEST])
    described = model.descriptor(test)
    scores = model.anomaly_map_generator.compute_score(
        model.compute_distance(described), described.shape[-2:]
    )
    layer = model.descriptor.layer.conv2d
    return {
        **{f"train_{number}": maps.numpy() for number, maps in enumerate(train)},
        **{f"test_{number}": maps.numpy() for number, maps in enumerate(test)},
        "weight": layer.weight.detach().numpy(),
        "bias": layer.bias.detach().numpy(),
        "centroids": model.memory_bank.T.numpy(),
        "radii": np.array(RADII),
        "losses": np.array([loss.item() for loss in losses]),
        "scores": scores[:, 0].numpy(),
        "anomaly_maps": found.anomaly_map.numpy(),
        "image_scores": found.pred_score.numpy(),
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
    print(arrays["losses"])


if __name__ == "__main__":
    main()
