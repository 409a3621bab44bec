from importlib.util import find_spec
from pathlib import Path

import pytest
import timm

from reconpatch.features.presets import presets, timm_name
from reconpatch.features.pretrained import find_weights, weights_here
from reconpatch.utils.errors import InputError


@pytest.mark.parametrize("name", list(presets()))
def test_a_preset_names_weights_that_timm_knows(name: str) -> None:
    assert timm_name(name) == presets()[name].timm_name
    assert timm_name(name) in timm.list_pretrained()


def test_the_papers_backbones_have_torchvisions_first_weights() -> None:
    for name in ("wide_resnet50_2", "wide_resnet101_2", "resnext101_32x8d", "densenet201"):
        assert timm_name(name) == f"{name}.tv_in1k"
        assert timm.get_pretrained_cfg(timm_name(name)).tag == "tv_in1k"


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("test_resnet", "test_resnet.r160_in1k"),
        ("test_resnet.r160_in1k", "test_resnet.r160_in1k"),
        ("wide_resnet50_2.tv_in1k", "wide_resnet50_2.tv_in1k"),
        ("davit_giant", "davit_giant"),
    ],
)
def test_a_timm_name_gets_the_tag_of_its_weights(name: str, full: str) -> None:
    assert timm_name(name) == full


@pytest.mark.parametrize("name", ["wide_resnet_50", "resnet18.no_such_tag", "", "hf_hub:a/b"])
def test_a_name_that_timm_does_not_know_is_an_input_error(name: str, tmp_path: Path) -> None:
    for asked in (timm_name, lambda name: find_weights(name, tmp_path)):
        with pytest.raises(InputError, match=rf"Backbone {name} is neither a preset \(wide_resnet"):
            asked(name)
    with pytest.raises(InputError, match="is neither"):
        weights_here(name, tmp_path)


@pytest.mark.parametrize("name", [name for name, preset in presets().items() if preset.package])
def test_a_presets_package_holds_its_weights(name: str, tmp_path: Path) -> None:
    package = presets()[name].package
    assert package
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    found = weights_here(name, tmp_path)
    assert found
    assert found.source == f"package {package}"
    assert found.architecture == timm_name(name)
