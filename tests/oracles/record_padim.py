"""Record the PaDiM scores of anomalib 2.7.0 for given layer maps and given channels.

The project's tests compare its own PaDiM with this record, so anomalib itself is not needed to run
them. To make the record again, in an environment of its own:

    pip install anomalib==2.7.0 torch==2.14.1 torchvision==0.29.1 timm==1.0.31
    python tests/oracles/record_padim.py

It writes ``padim.npz`` beside itself: layer maps ``train_K`` and ``test_K`` as ``(N, C, h, w)``,
the channels drawn, counted through the layers, and what anomalib's model says of the test images:
Mahalanobis distances ``(N, h, w)``, maps ``(N, S, S)``, image scores ``(N,)``.
"""

import os
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from anomalib.models.image.padim.torch_model import PadimModel
from torch import Tensor, nn

SEED = 20201117
SHAPES = ((6, 8, 8), (8, 4, 4), (10, 2, 2))
# More channels than images, so that covariances stand by what is added to them alone.
CHANNELS, TRAIN, TEST, MAP_SIZE = 16, 12, 5, 56
LAYERS = [f"layer{number}" for number in range(1, len(SHAPES) + 1)]
PACKAGES = ("anomalib", "torch", "torchvision", "timm", "kornia", "numpy")
OUTPUT = Path(__file__).with_name("padim.npz")


class Given(nn.Module):
    """Stands in for the backbone: returns the given maps whatever the images are."""

    def __init__(self) -> None:
        super().__init__()
        self.maps: list[Tensor] = []

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return dict(zip(LAYERS, self.maps, strict=True))


def setting() -> tuple[list[Tensor], list[Tensor], np.ndarray]:
    """Maps to train and to test on, with two images far off at some places; and the channels."""
    rng = np.random.default_rng(SEED)
    train, test = [], []
    for shape in SHAPES:
        centre, spread = rng.normal(size=shape), rng.uniform(0.05, 0.5, size=shape)
        both = centre + spread * rng.normal(size=(TRAIN + TEST, *shape))
        both[-2:, :, : shape[1] // 2, -1] += 2 * rng.normal(size=shape[0])[:, None]
        train.append(torch.from_numpy(both[:TRAIN]).float())
        test.append(torch.from_numpy(both[TRAIN:]).float())
    of = sum(shape[0] for shape in SHAPES)
    channels = np.sort(np.random.default_rng(SEED).choice(of, CHANNELS, replace=False))
    return train, test, channels


def record() -> dict[str, np.ndarray]:
    """Run anomalib's model; the result is named as in the file."""
    train, test, channels = setting()
    model = PadimModel(
        backbone="test_resnet", layers=LAYERS, pre_trained=False, n_features=CHANNELS
    )
    given = Given()
    model.add_module("feature_extractor", given)
    model.idx = torch.from_numpy(channels)
    images = torch.zeros(TRAIN, 3, MAP_SIZE, MAP_SIZE)
    given.maps = train
    model.train()
    model(images)
    model.fit()
    model.eval()
    given.maps = test
    found = model(images[:TEST])
    distances = model.anomaly_map_generator.compute_distance(
        model.generate_embedding(given(images)),
        [model.gaussian.mean, model.gaussian.inv_covariance],
    )
    return {
        **{f"train_{number}": maps.numpy() for number, maps in enumerate(train)},
        **{f"test_{number}": maps.numpy() for number, maps in enumerate(test)},
        "seed": np.array(SEED),
        "channels": channels,
        "distances": distances[:, 0].numpy(),
        "anomaly_maps": found.anomaly_map[:, 0].numpy(),
        "image_scores": found.pred_score.flatten().numpy(),
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
