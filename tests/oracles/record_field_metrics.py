"""Record AP, F1-max and AU-PRO by anomalib 2.7.0 and ADEval 1.1.0 of drawn maps and masks.

The project's tests compare its own metrics with this record, so neither is needed to run them. To
make the record again, in an environment of its own:

    pip install anomalib==2.7.0 ADEval==1.1.0 torch==2.14.1
    python tests/oracles/record_field_metrics.py

It writes ``field_metrics.npz`` beside itself: the maps and masks, and each value as
``<library>_<metric>``. ADEval counts scores in strips, and its AP is a trapezoid's: of it AU-PRO
alone is recorded.
"""

from pathlib import Path

import numpy as np
import torch
from adeval import EvalAccumulator
from anomalib.metrics.aupr import _AUPR
from anomalib.metrics.aupro import _AUPRO
from anomalib.metrics.f1_score import _F1Max
from scipy.ndimage import gaussian_filter

np.trapz = np.trapezoid  # ADEval calls it by NumPy 1's name.

SEED, IMAGES, SIDE = 7, 12, 48
OUTPUT = Path(__file__).with_name("field_metrics.npz")


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Smooth maps, a third of the images with one to three defects that they see faintly."""
    rng = np.random.default_rng(SEED)
    maps = np.stack([gaussian_filter(rng.normal(size=(SIDE, SIDE)), 2) for _ in range(IMAGES)])
    masks = np.zeros(maps.shape, dtype=np.bool_)
    for image in range(0, IMAGES, 3):
        for _ in range(rng.integers(1, 4)):
            row, column = rng.integers(0, SIDE - 10, 2)
            height, width = rng.integers(2, 10, 2)
            masks[image, row : row + height, column : column + width] = True
    # Values that half precision holds, in which they are kept.
    return (maps + 0.2 * masks).astype(np.float16).astype(np.float32), masks


def main() -> None:
    """Compute and write."""
    maps, masks = drawn()
    scores, labels = maps.max(axis=(1, 2)), masks.any(axis=(1, 2))
    values = {}
    for name, (given, truth) in {"image": (scores, labels), "pixel": (maps, masks)}.items():
        flat, expected = torch.from_numpy(given).flatten(), torch.from_numpy(truth).flatten()
        for metric, measure in (("ap", _AUPR()), ("f1_max", _F1Max())):
            measure.update(flat, expected.int())
            values[f"anomalib_{name}_{metric}"] = float(measure.compute())
    for limit in (0.3, 0.05):
        overlap = _AUPRO(fpr_limit=limit)
        overlap.update(torch.from_numpy(maps), torch.from_numpy(masks).int())
        values[f"anomalib_aupro_{round(100 * limit)}"] = float(overlap.compute())
    evaluator = EvalAccumulator(
        float(scores.min()),
        float(scores.max()),
        float(maps.min()),
        float(maps.max()),
        nstrips=200_000,
    )
    for each, mask in zip(maps, masks, strict=True):
        evaluator.add_anomap(each, mask.astype(np.uint8))
    values["adeval_aupro_30"] = evaluator.summary()["p_aupro"]
    np.savez_compressed(OUTPUT, maps=maps.astype(np.float16), masks=masks, **values)
    print(values)


if __name__ == "__main__":
    main()
