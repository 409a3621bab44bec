import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from reconpatch.methods.padim import PaDiMRecipe
from reconpatch.methods.patchcore import PatchCoreRecipe
from reconpatch.methods.reconpatch import ReConPatchRecipe
from reconpatch.methods.spade import SPADERecipe
from reconpatch.settings.base import readable
from reconpatch.settings.composed import Ensemble, Refined
from reconpatch.settings.features import AugmentationSettings, FeatureSettings
from reconpatch.settings.recipe import Recipe
from reconpatch.settings.refinement import RefinementSettings
from reconpatch.settings.representation import RepresentationSettings

AMBIGUITIES = Path(__file__).parents[2] / "docs" / "ambiguities.md"


@pytest.mark.parametrize("recipe", [PatchCoreRecipe, ReConPatchRecipe])
def test_equal_recipes_share_a_key_however_they_were_written(recipe: type[Recipe]) -> None:
    spelled_out = recipe.model_validate_json(recipe().model_dump_json())
    assert recipe.model_validate_json("{}").key == spelled_out.key == recipe().key


def test_another_setting_gives_another_key() -> None:
    texts = [
        "{}",
        '{"features": {"patch_size": 5}}',
        '{"representation": {"k": 7}}',
        '{"augmentation": {}}',
        '{"detection": {"coreset_share": 0.1}}',
        '{"maps": {"sigma": 2}}',
    ]
    keys = {ReConPatchRecipe.model_validate_json(text).key for text in texts}
    assert len(keys | {PatchCoreRecipe().key}) == len(texts) + 1


def test_what_is_given_of_the_features_changes_the_methods_own() -> None:
    assert PaDiMRecipe().features.layers == (1, 2, 3)
    given = PaDiMRecipe.model_validate({"features": {"backbone": "efficientnet_lite0"}})
    assert (given.features.backbone, given.features.layers) == ("efficientnet_lite0", (1, 2, 3))
    other = PaDiMRecipe.model_validate({"features": {"layers": [2, 3]}})
    assert other.features.layers == (2, 3)
    # With the layers that another method reads it reads the same arrays.
    alike = SPADERecipe.model_validate({"features": {"layers": [1, 2, 3]}})
    assert alike.test_extraction == PaDiMRecipe().test_extraction


def test_an_ensembles_key_knows_all_settings_of_its_members() -> None:
    pairs = [
        Ensemble(members=(ReConPatchRecipe(), ReConPatchRecipe(representation=chosen)))
        for chosen in (RepresentationSettings(), RepresentationSettings(k=7))
    ]
    assert pairs[0].key != pairs[1].key
    refined = [Refined(of=p.members[1], refinement=RefinementSettings()).key for p in pairs]
    assert refined[0] != refined[1]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"features": {"patchsize": 3}}', "features.patchsize: Extra inputs"),
        ('{"features": {"patch_size": 4}}', "features: patch_size 4 must be odd"),
        ('{"features": {"layers": [3, 2]}}', "must rise"),
        ('{"features": {"crop": 512}}', "crop 512 is larger than resize 256"),
        ('{"features": {"crop": "none"}}', "add resize_to: square"),
        ('{"features": {"crop": null}}', "add resize_to: square"),
        ('{"features": {"aggregation": "patchcore"}}', "needs layer_dimension"),
        ('{"features": {"target_dimension": 8}}', "belong to aggregation patchcore"),
        (
            '{"representation": {"alpha": 1.5}}',
            "representation.alpha: .*less than or equal to 1",
        ),
        ('{"representation": {"k": 1, "half_set_rounding": "down"}}', "empty half set"),
        ('{"representation": {"k": 64, "batch_size": 32}}', "k 64 must be below batch_size 32"),
        ('{"detection": {"coreset_share": 0}}', "detection.coreset_share: .*greater than 0"),
        ('{"maps": {"sigma": NaN}}', "maps.sigma"),
        ("not json", "Invalid JSON"),
    ],
)
def test_impossible_recipes_say_which_setting_and_why(text: str, complaint: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ReConPatchRecipe.model_validate_json(text)
    assert re.search(complaint, readable(refused.value))


def test_papers_settings_are_the_defaults() -> None:
    features, representation = FeatureSettings(), RepresentationSettings()
    assert (features.backbone, features.layers, features.patch_size) == (
        "wide_resnet50_2",
        (2, 3),
        3,
    )
    assert (features.resize, features.crop) == (256, 224)
    assert (representation.dimension, representation.epochs) == (512, 120)
    assert (representation.k, representation.alpha, representation.margin) == (5, 0.5, 1.0)
    assert (representation.learning_rate, representation.weight_decay) == (1e-5, 1e-2)
    assert PatchCoreRecipe().detection.coreset_share == 0.01
    refinement = RefinementSettings()
    assert (refinement.epochs, refinement.batch_size, refinement.momentum) == (500, 16, 0.9)


def test_no_crop_is_none_and_sees_the_side_that_is_resized_to() -> None:
    written = yaml.safe_load("{resize: 224, resize_to: square, crop: none}")
    whole, same = (
        FeatureSettings.model_validate(settings) for settings in (written, written | {"crop": None})
    )
    assert whole == same
    assert (whole.crop, whole.size, FeatureSettings().size) == (None, 224, 224)
    assert FeatureSettings.model_validate_json(whole.model_dump_json()) == whole


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"opacity": [0.5, 0.2]}, "opacity 0.5 to 0.2 must rise"),
        ({"noise_cells": [3, 1]}, "noise_cells 3 to 1 must rise"),
        ({"anomaly": "scratch"}, "anomaly: "),
        ({"epoch": 3}, "epoch: Extra inputs"),
    ],
)
def test_impossible_refinements_say_which_setting_and_why(changes: Any, complaint: str) -> None:
    with pytest.raises(ValidationError) as refused:
        RefinementSettings.model_validate(changes)
    assert complaint in readable(refused.value)


@pytest.mark.parametrize("change", [{"crop": 160}, {"resize": 300}, {"resize_to": "square"}])
def test_models_that_see_other_images_have_no_common_map_to_refine(change: Any) -> None:
    other = PatchCoreRecipe(features=FeatureSettings.model_validate(change))
    pair = Ensemble(members=(PatchCoreRecipe(), other))
    with pytest.raises(ValidationError, match="must see the same images"):
        Refined(of=pair, refinement=RefinementSettings())


def test_every_setting_has_a_line_in_the_list_of_ambiguities_or_of_the_papers_choices() -> None:
    text = AMBIGUITIES.read_text()
    recipe = ReConPatchRecipe(augmentation=AugmentationSettings())
    groups = json.loads(Refined(of=recipe, refinement=RefinementSettings()).model_dump_json())
    groups |= groups.pop("of")
    settings = [(g, n) for g, group in groups.items() if isinstance(group, dict) for n in group]
    missing = [n for g, n in settings if f"`{n}`" not in text and f"`{g}.{n}`" not in text]
    assert not missing
