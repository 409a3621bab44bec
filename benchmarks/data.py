"""Data for the measurements: a category's images, and matrices of patch features."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmarks.plan import Plan
from reconpatch.datasets.category import Category, Sample
from reconpatch.datasets.demo.writer import write_demo
from reconpatch.datasets.mvtec_layout import find_categories, read_mvtec_layout
from reconpatch.detection.represent import represent
from reconpatch.representation.networks import RepresentationNetwork
from reconpatch.settings.representation import RepresentationSettings


def category_folder(data: Path | None, plan: Plan, work: Path) -> Path:
    """Return a category in MVTec AD's layout: bottle or the first below ``data``, else the washer.

    If the plan wants fewer images, the folder is a new one with copies of some of them. The test
    images are spread evenly over the test set, so that every kind of defect is there.
    """
    if data is None:
        write_demo(work / "demo", 0)
        whole = work / "demo" / "washer"
    else:
        names = find_categories(data)
        whole = data / ("bottle" if "bottle" in names else names[0])
    if plan.train_images is None or plan.test_images is None:
        return whole
    category = read_mvtec_layout(whole, "benchmark")
    folder = work / "images" / whole.name
    _copy(category, category.train[: plan.train_images], folder)
    spread = np.linspace(0, len(category.test) - 1, plan.test_images).astype(int)
    _copy(category, tuple(category.test[row] for row in np.unique(spread)), folder)
    return folder


def _copy(category: Category, samples: tuple[Sample, ...], folder: Path) -> None:
    # The layout is fixed below a category: train/good/NAME, ground_truth/DEFECT/NAME.
    root = next(iter(category.train)).image.parents[2]
    for path in (p for sample in samples for p in (sample.image, sample.mask) if p):
        copy = folder / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def patch_matrix(patches: npt.NDArray[Any], rows: int) -> tuple[Tensor, str]:
    """Return ``rows`` patch features of 512 dimensions, and their description.

    They are a category's patch features after an untrained, orthogonal f, in random order. If the
    category has too few, they are drawn by ``clusters``.
    """
    settings = RepresentationSettings()
    total = int(np.prod(patches.shape[:-1]))
    if total < rows:
        drawn = clusters(rows, settings.dimension)
        return drawn, "drawn: 64 clusters, each in 16 dimensions of its own, with noise"
    layer = RepresentationNetwork(patches.shape[-1], settings, seed=0).f
    features = represent(patches, layer, torch.device("cpu"))
    if total > rows:
        features = features[torch.from_numpy(np.random.default_rng(0).permutation(total)[:rows])]
    return features, "patch features of EfficientNet-Lite0 through an untrained, orthogonal f"


def clusters(
    rows: int, dimensions: int, seed: int = 0, device: torch.device | str = "cpu"
) -> Tensor:
    """Return a mixture ``(rows, dimensions)`` that resembles patches of a few kinds.

    There are 64 clusters of equal size (fewer for fewer rows). Each has its own centre and is
    normally distributed in its own 16 dimensions, with a tenth of that as noise in all dimensions.
    They are drawn where they lie: another kind of device draws others.
    """
    generator = torch.Generator(device).manual_seed(seed)
    drawn: dict[str, Any] = {"generator": generator, "device": device}
    features = torch.empty(rows, dimensions, device=device)
    for part in features.chunk(64):
        inner = torch.randn(len(part), 16, **drawn)
        basis = torch.randn(16, dimensions, **drawn) / dimensions**0.5
        centre = torch.randn(dimensions, **drawn) * (16 / dimensions) ** 0.5
        part.normal_(generator=generator).mul_(0.1 * (16 / dimensions) ** 0.5)
        part.add_(centre).addmm_(inner, basis)
    return features
