"""The exported graph, run by onnxruntime, beside the library."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image
from sklearn.base import clone

from reconpatch.estimation.detector import Detector
from reconpatch.estimation.estimators import SPADE, PatchCore
from reconpatch.estimation.onnx_export import OUTPUTS, check, export
from reconpatch.utils.errors import InputError

BILINEAR = Image.Resampling.BILINEAR


@pytest.mark.parametrize("name", ["patchcore", "reconpatch"])
def test_the_graph_gives_what_the_library_gives(
    name: str, washer: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    detector: Detector = request.getfixturevalue(name)
    path = tmp_path / "model.onnx"
    export(detector, path)
    images = sorted((washer / "test").rglob("*.png"))
    found = check(detector, path, images)
    assert found.images == 6
    assert found.difference < 1e-5
    # By hand, and several at once.
    pixels = np.stack([np.array(Image.open(image).resize((96, 96), BILINEAR)) for image in images])
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    scores, patches, maps = session.run(OUTPUTS, {"images": pixels.transpose(0, 3, 1, 2).copy()})
    assert scores == pytest.approx(detector.score_samples(images), rel=1e-4)
    assert maps.shape == (6, 96, 96)
    assert patches.shape[0] == 6
    metadata = {entry.key: json.loads(entry.value) for entry in onnx.load(path).metadata_props}
    assert metadata["threshold"] == detector.threshold_
    assert metadata["recipe"]["features"]["resize"] == 96
    # Another model is not taken for it.
    other = (
        clone(detector).set_params(seed=1).fit(sorted((washer / "train" / "good").iterdir())[:3])
    )
    with pytest.raises(InputError, match="gives other values than the library"):
        check(other, path, images)


def test_what_cannot_be_exported_is_said(
    patchcore: PatchCore, washer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"size": 64, "false_alarm_rate": 0.25, "device": "cpu", "threads": 1}
    spade = SPADE(**settings).fit(washer / "train" / "good")
    with pytest.raises(InputError, match="SPADE cannot be exported"):
        export(spade, tmp_path / "spade.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match="pip install onnx"):
        export(patchcore, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
