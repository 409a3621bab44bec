"""Where the checks run, and with what sizes."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from reconpatch.features.presets import presets

CPU = torch.device("cpu")


class Patches(NamedTuple):
    """The shape of drawn patch features."""

    images: int
    side: int
    dimension: int

    @property
    def places(self) -> int:
        """How many patches there are in all."""
        return self.images * self.side**2


@dataclass(frozen=True)
class Sizes:
    """Sizes of the checks.

    Attributes:
        batch_size: B of a training step.
        inputs: D, of a patch's features.
        dimension: d of f and p of g.
        epoch: steps of an epoch whose time is measured.
        compared: patches from which both devices select a coreset.
        scored: patches that both devices score.
        coresets: patches of the coresets whose time is measured.
        tests: test images that are scored by each.
        backbones: the presets that are compared and timed.
        extraction: by the image's side in pixels, how many go through a backbone at once.
        images: how many images both devices bring through each backbone.
        crop: their side in pixels.
        refinement: sides of images that the refinement network is timed on.
        simulated: images with simulated defects.
        repeats: of work whose time is measured.
        demo_images: training and test images of the demo; None for all.
        demo_crop: their side in pixels.
        epochs: of the demo's ReConPatch.
    """

    batch_size: int
    inputs: int
    dimension: int
    epoch: int
    compared: Patches
    scored: Patches
    coresets: tuple[Patches, ...]
    tests: int
    backbones: tuple[str, ...]
    extraction: dict[int, int]
    images: int
    crop: int
    refinement: tuple[int, ...]
    simulated: int
    repeats: int
    demo_images: tuple[int | None, int | None]
    demo_crop: int
    epochs: int


# The coresets are those of MVTec AD's bottle at 224 pixels and hazelnut at 480, at stride 8.
FULL = Sizes(
    batch_size=1024,
    inputs=1536,
    dimension=512,
    epoch=100,
    compared=Patches(209, 28, 512),
    scored=Patches(30, 28, 512),
    coresets=(Patches(209, 28, 512), Patches(391, 60, 512)),
    tests=110,
    backbones=tuple(presets()),
    # As many as reconpatch.features.arrays takes on a GPU.
    extraction={crop: 64 * 224**2 // crop**2 for crop in (224, 320, 480)},
    images=4,
    crop=224,
    refinement=(224, 480),
    simulated=32,
    repeats=3,
    demo_images=(None, None),
    demo_crop=224,
    epochs=3,
)
SMALL = Sizes(
    batch_size=64,
    inputs=48,
    dimension=16,
    epoch=6,
    compared=Patches(20, 8, 16),
    scored=Patches(6, 8, 16),
    coresets=(Patches(20, 8, 16), Patches(30, 10, 16)),
    tests=4,
    backbones=("efficientnet_lite0", "densenet201"),
    extraction={64: 2},
    images=2,
    crop=64,
    refinement=(64,),
    simulated=4,
    repeats=1,
    demo_images=(6, 6),
    demo_crop=96,
    epochs=1,
)


@dataclass(frozen=True)
class Setup:
    """Where the checks run, and with what sizes.

    Attributes:
        device: what is compared with the CPU; the CPU itself in a rehearsal.
        sizes: of the checks.
        work: a folder for files.
        threads: CPU threads.
    """

    device: torch.device
    sizes: Sizes
    work: Path
    threads: int

    @property
    def on_gpu(self) -> bool:
        """Whether this is no rehearsal."""
        return self.device.type == "cuda"
