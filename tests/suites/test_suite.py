from pathlib import Path

import pytest

from reconpatch.methods.patchcore import PatchCoreDetectionSettings, PatchCoreRecipe
from reconpatch.methods.reconpatch import ReConPatchRecipe
from reconpatch.settings.detection import DetectionSettings
from reconpatch.suites.cells import cells
from reconpatch.suites.runs import batches, runs_of, summary, timed_runs
from reconpatch.suites.suite import Suite, load_suite
from reconpatch.utils.errors import InputError

CONFIG = Path(__file__).parents[2] / "config"
WHOLE = """
title: a title
datasets:
  - source: {layout: mvtec, dataset: mvtec, root: "{data_root}/mvtec"}
    categories: [bottle, cable]
seeds: [0, 1]
keep_features: true
recipe:
  features: {backbone: efficientnet_lite0}
  detection: {coreset_share: 0.2}
methods:
  ReConPatch: {representation: {epochs: 3}}
models:
  single: {label: small, members: [{ReConPatch: {representation: {k: 7}}}]}
grids:
  tableS1: ["3", "5"]
"""


def load(folder: Path, text: str) -> Suite:
    path = folder / "some.yaml"
    path.write_text(text)
    return load_suite(path, folder, CONFIG)


@pytest.mark.parametrize("name", ["demo", "elpv", "extended", "mvtec-lite", "paper"])
def test_suites_that_come_with_the_project_are_valid(name: str) -> None:
    suite = load_suite(CONFIG / "suites" / f"{name}.yaml", Path("data"), CONFIG)
    if name != "mvtec-lite":  # It takes the categories that it finds.
        assert all(runs_of(suite, figure) for figure in ("figure3", "table2"))


def test_a_model_changes_what_it_names_and_keeps_the_rest(tmp_path: Path) -> None:
    suite = load(tmp_path, WHOLE)
    recipe = suite.recipe_of("single", "ReConPatch", {"features": {"patch_size": 5}})
    assert isinstance(recipe, ReConPatchRecipe)
    assert (recipe.representation.k, recipe.representation.epochs) == (7, 3)
    assert (recipe.features.patch_size, recipe.features.backbone) == (5, "efficientnet_lite0")
    patchcore = suite.recipe_of("single", "PatchCore")
    assert isinstance(patchcore, PatchCoreRecipe)
    assert patchcore.learned is None
    assert recipe.detection == DetectionSettings(coreset_share=0.2)
    assert patchcore.detection == PatchCoreDetectionSettings(coreset_share=0.2)


def test_methods_may_be_named_without_changes(tmp_path: Path) -> None:
    mapped = load(tmp_path, WHOLE)
    text = WHOLE.replace("  ReConPatch: {representation: {epochs: 3}}\n", "  [PatchCore, PaDiM]\n")
    named = load(tmp_path, text)
    assert named.methods == {"PatchCore": {}, "PaDiM": {}}
    assert "PaDiM (small)" in {cell.column for cell in cells(named, "table5")}
    assert "PaDiM (small)" not in {cell.column for cell in cells(mapped, "table5")}
    with pytest.raises(InputError, match="PaDim"):
        load(tmp_path, text.replace("PaDiM", "PaDim"))


def test_seeds_multiply_the_runs_and_grids_thin_them_out(tmp_path: Path) -> None:
    suite = load(tmp_path, WHOLE)
    assert {cell.column for cell in cells(suite, "tableS1")} == {"3", "5"}
    assert len(runs_of(suite, "tableS1")) == 2 * 2 * 2
    assert {cell.column for cell in cells(suite, "tableS2")} == {"0.5", "1", "1.5", "2"}


def test_a_table_may_take_more_seeds_than_the_suite(tmp_path: Path) -> None:
    text = WHOLE.replace("seeds: [0, 1]", "seeds: [3]\nmore_seeds: {table5: [3, 0, 1]}")
    suite = load(tmp_path, text)
    assert {run.seed for run in runs_of(suite, "table5")} == {3, 0, 1}
    assert {run.seed for run in runs_of(suite, "table2")} == {3}
    measured = {run for batch in batches(suite) for run in batch.runs}
    assert set(runs_of(suite, "table5")) <= measured
    assert {run.seed for run in timed_runs(suite)} == {3}
    cells_runs = int(next(s for s in summary(suite).splitlines() if "table5 " in s).split()[2])
    once = load(tmp_path, WHOLE.replace("seeds: [0, 1]", "seeds: [3]"))
    alone = int(next(s for s in summary(once).splitlines() if "table5 " in s).split()[2])
    assert cells_runs == 3 * alone


def test_a_figure_has_the_seeds_of_the_table_that_it_draws(tmp_path: Path) -> None:
    text = WHOLE.replace("seeds: [0, 1]", "seeds: [3]\nmore_seeds: {evidence2: [3, 0]}")
    suite = load(tmp_path, text + "experiments: [experiments.yaml, evidence.yaml]\n")
    assert suite.seeds_of("sweep1") == suite.seeds_of("evidence2") == (3, 0)
    assert suite.seeds_of("figure3") == (3,)


def test_a_grid_names_categories_too(tmp_path: Path) -> None:
    suite = load(tmp_path, WHOLE.replace('tableS1: ["3", "5"]', 'tableS1: ["3", "5", cable]'))
    assert {cell.column for cell in cells(suite, "tableS1")} == {"3", "5"}
    assert {place.category for cell in cells(suite, "tableS1") for place in cell.places} == {
        "cable"
    }
    assert {run.category for run in runs_of(suite, "tableS2")} == {"bottle", "cable"}


def test_another_split_of_the_same_data_set_has_other_results(tmp_path: Path) -> None:
    elpv = WHOLE.replace('layout: mvtec, dataset: mvtec, root: "{data_root}/mvtec"', "{}")
    whole, part = (
        {run.id for run in runs_of(load(tmp_path, text), "table2")}
        for size in ("", ", train: 200")
        for text in [elpv.replace("{{}}", f"{{layout: elpv, dataset: elpv{size}}}")]
    )
    assert not whole & part


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("seeds: [0, 1]", "seeds: [0, 0]", "seeds: seeds .0, 0. must be distinct"),
        ("seeds: [0, 1]", "sedes: [0, 1]", "sedes: Extra inputs"),
        ("grids:", "more_seeds: {table9: [0, 1, 2]}\ngrids:", "there is no table 'table9'"),
        ("grids:", "more_seeds: {table5: [2, 3]}\ngrids:", "must begin with the suite's own seeds"),
        ("grids:", "more_seeds: {table5: [0, 1, 1]}\ngrids:", "must be distinct"),
        ("tableS1:", "tableS9:", "there is no table or figure 'tableS9'; there are table1"),
        ('["3", "5"]', '["3", "6"]', "tableS1 has no row, column or category '6'"),
        ("models:", "modles:", "models: Field required"),
        ("title:", "title: [", "is not YAML"),
        ("title:", "extra_datasets: {ddt: textures}\ntitle:", "there is no ddt; there are: mvtec"),
    ],
)
def test_mistakes_are_named_with_their_place(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        load(tmp_path, WHOLE.replace(old, new))


def test_a_folder_without_suites_says_where_to_go(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There are no suites in .*: go to the folder that holds"):
        load_suite(tmp_path / "config" / "suites" / "demo.yaml", tmp_path, tmp_path / "config")


def test_an_impossible_recipe_names_method_and_model(tmp_path: Path) -> None:
    suite = load(tmp_path, WHOLE.replace("{k: 7}", "{q: 7}"))
    with pytest.raises(InputError, match=r"ReConPatch with model single.*q: Extra inputs"):
        cells(suite, "table2")


def test_a_category_in_two_data_sets_is_named_after_them_unless_they_share_a_name(
    tmp_path: Path,
) -> None:
    twice = "  - source: {layout: mvtec, dataset: NAME, root: other}\n    categories: [bottle]\n"
    text = WHOLE.replace("seeds:", f"{twice}seeds:")
    named = load(tmp_path, text.replace("NAME", "others"))
    assert [place.name for place in named.places()] == [
        "bottle of mvtec",
        "cable",
        "bottle of others",
    ]
    alike = load(
        tmp_path, text.replace("NAME", "mvtec").replace("root: other", 'root: "{data_root}/mvtec"')
    )
    for category in ("bottle", "cable"):
        (tmp_path / "mvtec" / category / "train" / "good").mkdir(parents=True)
    with pytest.raises(InputError, match="category bottle of mvtec in two data sets of one name"):
        alike.check_data({}, ())
