"""A fitted detector as one ONNX graph: backbone, f, memory bank, scores and map."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from reconpatch.detection.anomaly_map import smooth_upsampling
from reconpatch.estimation.detector import Detector, set_up
from reconpatch.features.aggregation import patch_features
from reconpatch.features.images import image_batches
from reconpatch.methods.patchcore import PatchCore
from reconpatch.methods.reconpatch import ReConPatch
from reconpatch.settings.detection import DetectionSettings
from reconpatch.settings.features import FeatureSettings
from reconpatch.utils.errors import InputError
from reconpatch.utils.files import atomic_write

INSTALL = "pip install onnx onnxruntime onnxscript"
TOLERANCE = 1e-4
"""How far onnxruntime may be from torch, relative to the largest value."""

OUTPUTS = ("image_scores", "patch_scores", "anomaly_maps")


@dataclass(frozen=True)
class Check:
    """A graph in onnxruntime beside the library, image by image.

    Attributes:
        images: how many were compared.
        difference: the largest in any output, relative to the output's largest value.
        torch_ms: mean milliseconds of an image, from pixels to map, in torch.
        onnx_ms: the same in onnxruntime, with as many threads.
    """

    images: int
    difference: float
    torch_ms: float
    onnx_ms: float


def export(detector: Detector, path: Path) -> None:
    """Write a fitted detector's graph, whole or not at all.

    Its input ``images`` is uint8 ``(N, 3, S, S)``: RGB images as the backbone sees them, resized
    (bilinear, antialiased) and cropped. Its outputs are ``image_scores`` ``(N,)``,
    ``patch_scores`` ``(N, h, w)`` and ``anomaly_maps`` ``(N, S, S)``. Both thresholds and the
    recipe are in its metadata.

    Raises:
        InputError: the method has no memory bank, or the exporter is not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError:
        raise InputError(f"To export a model install what writes it: {INSTALL}") from None
    graph = _Graph(detector).eval()
    size = detector.recipe_.features.size
    images = torch.zeros(2, 3, size, size, dtype=torch.uint8)
    program = torch.onnx.export(
        graph,
        (images,),
        dynamo=True,
        input_names=["images"],
        output_names=OUTPUTS,
        dynamic_shapes={"images": {0: torch.export.Dim("N")}},
        verbose=False,
    )
    assert program
    model = program.model_proto
    for key, value in {
        "threshold": detector.threshold_,
        "map_threshold": detector.map_threshold_,
        "recipe": detector.recipe_.model_dump(mode="json"),
    }.items():
        model.metadata_props.add(key=key, value=json.dumps(value))
    onnx.checker.check_model(model)
    with atomic_write(path) as aside:
        onnx.save(model, aside)


def check(detector: Detector, path: Path, images: Sequence[Path]) -> Check:
    """Run images one by one through a graph and through the library, and compare.

    Raises:
        InputError: onnxruntime is not installed, an image cannot be read, or the two differ by more
            than ``TOLERANCE``.
    """
    try:
        import onnxruntime
    except ImportError:
        raise InputError(f"To check a graph install what runs it: {INSTALL}") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = detector.threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    difference, seconds = 0.0, np.zeros((len(images), 2))
    for row, batch in enumerate(image_batches(images, detector.recipe_.features, 1, 1)):
        starts = [time.perf_counter()]
        with set_up(str(detector.method_.device), detector.threads) as device:
            maps = detector.backbone_(batch.to(device))
            scores = detector.method_.score(patch_features(maps, detector.recipe_.features))
        expected = (scores.images, scores.patches, detector.maps_of(scores))
        starts.append(time.perf_counter())
        found = session.run(OUTPUTS, {"images": batch.numpy()})
        starts.append(time.perf_counter())
        seconds[row] = np.diff(starts)
        for ours, theirs in zip(expected, found, strict=True):
            # Where all is zero, so must the other be.
            largest = max(np.abs(ours).max(), np.finfo(np.float32).tiny)
            difference = max(difference, float(np.abs(ours - theirs).max() / largest))
    if difference > TOLERANCE:
        raise InputError(
            f"{path} gives other values than the library: they differ by {difference:.2g} of the "
            f"largest, and at most {TOLERANCE:g} is rounding. Please report this model."
        )
    # The first image pays for what is set up once.
    torch_ms, onnx_ms = 1000 * seconds[len(images) > 1 :].mean(axis=0)
    return Check(len(images), difference, float(torch_ms), float(onnx_ms))


class _Graph(nn.Module):
    """From pixels to scores, by operations that ONNX has."""

    mean: Tensor
    std: Tensor
    vectors: Tensor
    centre: Tensor
    centred: Tensor
    norms: Tensor
    crowds: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        method, recipe = detector.method_, detector.recipe_
        if not isinstance(method, PatchCore | ReConPatch):
            raise InputError(
                f"{method.name()} cannot be exported; ReConPatch and PatchCore can, whose memory "
                "bank is searched within the graph."
            )
        backbone, vectors = detector.backbone_, method.bank.vectors.cpu()
        self.features: FeatureSettings = recipe.features
        self.detection: DetectionSettings = method.recipe.detection
        self.network = backbone.network.cpu()
        self.layer = method.layer.cpu() if isinstance(method, ReConPatch) else nn.Identity()
        centre = vectors.mean(dim=0)
        b = min(self.detection.reweighting_neighbours, len(vectors))
        size = self.features.size
        (finest, *_) = self.network(torch.zeros(1, 3, size, size))
        rows, columns = (smooth_upsampling(n, size, recipe.maps) for n in finest.shape[-2:])
        for name, values in {
            "mean": torch.tensor(backbone.mean).view(3, 1, 1),
            "std": torch.tensor(backbone.std).view(3, 1, 1),
            "vectors": vectors,
            "centre": centre,
            "centred": vectors - centre,
            "norms": (vectors - centre).square().sum(dim=1),
            "crowds": method.bank.neighbours(method.bank.vectors, b).cpu(),
            "rows": torch.from_numpy(rows),
            "columns": torch.from_numpy(columns),
        }.items():
            self.register_buffer(name, values)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return image scores ``(N,)``, patch scores ``(N, h, w)``, maps ``(N, S, S)``."""
        maps = self.network((images.float() / 255 - self.mean) / self.std)
        features = self.layer(patch_features(maps, self.features))
        distances, nearest = self._nearest(features)
        patches = distances.square() if self.detection.squared_distances else distances
        if self.detection.reweighting == "every_patch":
            patches = patches * self._reweighting(features, distances, nearest)
        by_image = patches.flatten(1)
        scores, where = by_image.max(dim=1)
        if self.detection.reweighting == "top_patch":
            at = where[:, None]
            top = features.flatten(1, 2).gather(1, at[..., None].expand(-1, 1, features.shape[-1]))
            d, star = distances.flatten(1).gather(1, at), nearest.flatten(1).gather(1, at)
            scores = scores * self._reweighting(top, d, star)[:, 0]
        return scores, patches, self.rows @ patches @ self.columns.T

    def _nearest(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Eq. 9, as ``MemoryBank.nearest``: ranked by products, measured by subtraction."""
        ranks = self.norms - 2 * (features - self.centre) @ self.centred.T
        nearest = ranks.argmin(dim=-1)
        return (features - self.vectors[nearest]).square().sum(dim=-1).sqrt(), nearest

    def _reweighting(self, features: Tensor, distances: Tensor, nearest: Tensor) -> Tensor:
        """Eq. 10, as ``MemoryBank.reweighting``; every vector's crowd was looked for before."""
        if self.crowds.shape[1] == 1:
            return torch.ones_like(distances)
        crowd = self.vectors[self.crowds[nearest]]
        to_crowd = (features[..., None, :] - crowd).square().sum(dim=-1).sqrt()
        return 1 - torch.exp(distances - torch.logsumexp(to_crowd, dim=-1))
