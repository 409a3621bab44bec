from pathlib import Path

import pytest

from reconpatch.errors import InputError
from reconpatch.suite import load_suite

SUITES = Path(__file__).parents[1] / "config" / "suites"
WHOLE = """
title: a title
datasets:
  - source: {layout: mvtec, dataset: mvtec, root: "{data_root}/mvtec"}
    categories: [bottle, cable]
seeds: [0, 1]
keep_features: true
recipe:
  features: {backbone: efficientnet_lite0}
  representation: {epochs: 3}
table5:
  - {name: PatchCore, recipe: {representation: null}}
  - {name: ReConPatch, recipe: {representation: {k: 7}}}
  - {name: The same again, recipe: {representation: {k: 7}}}
"""


def load(folder: Path, text: str) -> list[str]:
    path = folder / "some.yaml"
    path.write_text(text)
    return [run.id for run in load_suite(path, folder).runs()]


@pytest.mark.parametrize("name", ["demo", "elpv", "mvtec-lite", "paper"])
def test_suites_that_come_with_the_project_are_valid(name: str) -> None:
    assert load_suite(SUITES / f"{name}.yaml", Path("data")).table5


def test_columns_that_ask_for_the_same_recipe_share_a_run(tmp_path: Path) -> None:
    runs = load(tmp_path, WHOLE)
    assert len(runs) == len(set(runs)) == 2 * 2 * 2


def test_a_column_changes_what_it_names_and_keeps_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    path.write_text(WHOLE)
    patchcore, reconpatch, _ = load_suite(path, tmp_path).table5
    assert patchcore.recipe.representation is None
    assert patchcore.recipe.features.backbone == "efficientnet_lite0"
    assert reconpatch.recipe.representation
    assert (reconpatch.recipe.representation.k, reconpatch.recipe.representation.epochs) == (7, 3)


def test_another_split_of_the_same_data_set_has_other_results(tmp_path: Path) -> None:
    elpv = WHOLE.replace('layout: mvtec, dataset: mvtec, root: "{data_root}/mvtec"', "{}")
    whole, part = (
        load(tmp_path, elpv.replace("{{}}", f"{{layout: elpv, dataset: elpv{size}}}"))
        for size in ("", ", train: 200")
    )
    assert not set(whole) & set(part)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("seeds: [0, 1]", "seeds: [0, 0]", "seeds: seeds .0, 0. must be distinct"),
        ("seeds: [0, 1]", "sedes: [0, 1]", "sedes: Extra inputs"),
        ("{k: 7}", "{q: 7}", "table5.1.recipe.representation.q: Extra inputs"),
        ("The same again", "ReConPatch", "fills .*ReConPatch.* twice"),
        ("table5:", "table6:", "table5"),
        ("title:", "title: [", "is not YAML"),
    ],
)
def test_mistakes_are_named_with_their_place(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        load(tmp_path, WHOLE.replace(old, new))


def test_two_data_sets_with_a_category_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    twice = "  - source: {layout: elpv, dataset: elpv}\n    categories: [bottle]\n"
    path.write_text(WHOLE.replace("seeds:", f"{twice}seeds:"))
    for category in ("bottle", "cable"):
        (tmp_path / "mvtec" / category / "train" / "good").mkdir(parents=True)
    with pytest.raises(InputError, match="category bottle in two data sets"):
        load_suite(path, tmp_path).check_data()
