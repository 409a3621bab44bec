import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from reconpatch.detection.anomaly_map import anomaly_maps
from reconpatch.evaluation.auroc import auroc
from reconpatch.refinement.network import RefinementNetwork
from reconpatch.refinement.pool import Pool, read_pool
from reconpatch.refinement.refine import refine
from reconpatch.refinement.training import train_refinement
from reconpatch.settings.detection import MapSettings
from reconpatch.settings.refinement import RefinementSettings
from reconpatch.utils.epochs import Checkpoint
from reconpatch.utils.errors import InputError

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
SMALL = RefinementSettings(width=4, rates=(1, 2), stride=2, batch_size=4, epochs=6)
LONG = SMALL.model_copy(update={"epochs": 30})


def pool(images: int = 8, size: int = 32) -> Pool:
    """Grey images with a bright square in half of their versions, which coarse scores point at."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(90, 110, (images, 3, size, size, 3), dtype=np.uint8)
    masks = np.zeros((images, 3, size, size), np.bool_)
    for row in range(images):
        for version in (1, 2):
            y, x = rng.integers(0, size - 8, 2)
            masks[row, version, y : y + 8, x : x + 8] = True
    pixels[masks] = 160
    coarse = masks.reshape(images, 3, size // 8, 8, size // 8, 8).mean(axis=(3, 5))
    scores = coarse + rng.normal(0, 0.2, coarse.shape)
    maps = anomaly_maps(
        scores.reshape(-1, *scores.shape[2:]).astype(np.float32), size, MapSettings()
    )
    return Pool(pixels, masks, maps.reshape(masks.shape))


def train(checkpoint: Path, settings: RefinementSettings = SMALL) -> dict[str, torch.Tensor]:
    network = train_refinement(
        pool(), settings, 3, device=CPU, checkpoint=Checkpoint(checkpoint, "this")
    )
    return network.state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one | other)


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.refinement.test_refinement_training import LONG, train
import torch
torch.set_num_threads({threads})
train(Path({checkpoint!r}), LONG)
"""


def test_a_killed_training_goes_on_and_ends_with_the_bits_of_an_unbroken_one(
    tmp_path: Path,
) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    code = KILLED.format(
        root=str(ROOT), checkpoint=str(checkpoint), threads=torch.get_num_threads()
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    while not checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < torch.load(checkpoint, weights_only=True)["epoch"] < LONG.epochs
    resumed = train(checkpoint, LONG)
    assert same(resumed, train(tmp_path / "unbroken.pt", LONG))
    assert not same(resumed, train(tmp_path / "shorter.pt"))


def test_a_checkpoint_of_another_training_is_not_gone_on_from(tmp_path: Path) -> None:
    settings = SMALL.model_copy(update={"epochs": 2})
    kept = tmp_path / "kept.pt"
    torch.save({"made_of": "that", "epoch": 2}, kept)
    assert same(train(kept, settings), train(tmp_path / "fresh.pt", settings))
    kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(InputError, match="delete it"):
        train(kept, settings)


def test_it_starts_from_the_plain_map_and_learns_what_the_map_blurs(tmp_path: Path) -> None:
    data = pool()
    rows, versions = np.arange(8), np.ones(8, np.int64)
    images, maps, masks = data.batch(rows, versions)
    network = RefinementNetwork(SMALL, 0).eval()
    start = refine(network, [images[:5], images[5:]], maps.numpy())
    wrong = masks.numpy() > 0
    # A line through the map, before any step.
    line = network.gain.item() * maps.numpy() + network.offset.item()
    np.testing.assert_allclose(start, line, rtol=1e-6)
    assert network.gain > 0
    network.load_state_dict(train(tmp_path / "c.pt", SMALL.model_copy(update={"epochs": 40})))
    refined = refine(network, [images], maps.numpy())
    assert auroc(refined, wrong) > auroc(maps.numpy(), wrong) + 0.01


@pytest.mark.parametrize(("sees", "blind"), [("image", "maps"), ("scores", "images")])
def test_what_the_network_is_not_to_see_does_not_change_its_output(sees: str, blind: str) -> None:
    torch.manual_seed(0)
    network = RefinementNetwork(SMALL.model_copy(update={"input": sees}), 0).eval()
    torch.nn.init.normal_(network.head.weight)
    inputs = {
        "images": torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8),
        "maps": torch.randn(2, 32, 32),
    }
    with torch.inference_mode():
        before = network(**inputs)
        unseen = network(**{**inputs, blind: inputs[blind].flip(0)})
        torch.testing.assert_close(before, unseen)
        (seen,) = set(inputs) - {blind}
        assert not torch.allclose(before, network(**{**inputs, seen: inputs[seen].flip(0)}))


def test_maps_made_once_are_those_of_each_mini_batch_bit_by_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    scores = tuple(rng.normal(size=(6, 3, s, s)).astype(np.float32) for s in (8, 8, 12))
    np.save(tmp_path / "images.npy", np.zeros((6, 3, 48, 48, 3), np.uint8))
    np.save(tmp_path / "masks.npy", np.zeros((6, 3, 48, 48), np.bool_))
    rows, versions = np.array([4, 0, 5, 2]), np.array([0, 2, 1, 0])
    _, maps, _ = read_pool(tmp_path, scores, MapSettings()).batch(rows, versions)
    of_models = [anomaly_maps(each[rows, versions], 48, MapSettings()) for each in scores]
    assert np.array_equal(maps.numpy(), np.mean(of_models, axis=0))


def test_all_of_an_epoch_is_on_the_device_until_its_end_is_read() -> None:
    """A device without values takes every step, and fails where the host asks for one."""
    with pytest.raises(RuntimeError) as error:
        train_refinement(pool(), SMALL, 0, device=torch.device("meta"))
    *_, inside = (entry for entry in error.traceback if entry.name == "_epoch")
    assert "total.item()" in str(inside.statement), error.value
