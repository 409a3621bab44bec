"""What the tables ask for: cells, recipes, unique runs, batches."""

from pathlib import Path

import pandas as pd
import pytest

from reconpatch.methods.padim import PaDiMRecipe
from reconpatch.methods.reconpatch import ReConPatchRecipe
from reconpatch.settings.composed import Ensemble, Refined
from reconpatch.settings.recipe import Recipe
from reconpatch.suites.cells import Cell, cells, left_out, panels
from reconpatch.suites.experiments import changed, load_experiments
from reconpatch.suites.runs import batches, runs_of, timed_runs
from reconpatch.suites.suite import Suite, load_suite
from reconpatch.utils.errors import InputError

CONFIG = Path(__file__).parents[2] / "config"

OURS = ("PatchCore 1 %", "same features")
"""What names rows and columns that the paper does not have."""


@pytest.fixture(scope="module")
def paper() -> Suite:
    return load_suite(CONFIG / "suites" / "paper.yaml", Path("data"), CONFIG)


@pytest.fixture(scope="module")
def demo() -> Suite:
    return load_suite(CONFIG / "suites" / "demo.yaml", Path("data"), CONFIG)


def recipe_at(suite: Suite, table: str, row: str, column: str, metric: str = "image_auroc") -> Cell:
    (found,) = (
        cell for cell in cells(suite, table) if (*cell.paper, cell.metric) == (row, column, metric)
    )
    return found


def test_every_row_and_column_is_one_of_the_papers(paper: Suite) -> None:
    """So that no figure of the paper is left without its place by a misspelt name."""
    for table in paper.experiments.tables:
        if table.startswith("evidence"):  # Ours.
            continue
        printed = pd.read_csv(CONFIG / "published" / f"{table}.csv", dtype=str)
        known = set(zip(printed["row"], printed["column"], printed["metric"], strict=True))
        asked = {
            (*cell.paper, cell.metric)
            for cell in cells(paper, table)
            if not any(ours in name for name in cell.paper for ours in OURS)
        }
        # Table S7's figures are not in our copy of the paper's text.
        assert asked <= known or (table == "tableS7" and not known), table


def test_fifteen_tables_and_eight_figures_are_there(demo: Suite) -> None:
    numbers = [*"1234567", "S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8"]
    tables = [name for name in demo.experiments.tables if name.startswith("table")]
    assert tables == [f"table{number}" for number in numbers]
    figures = ["3", "4", "5", "S1", "S2", "S3", "S4", "S5"]
    drawn = [name for name in demo.experiments.figures if name.startswith("figure")]
    assert drawn == [f"figure{number}" for number in figures]
    # Two categories are too few to rank methods.
    undrawn = [name for name in demo.experiments.figures if not panels(demo, name)]
    assert undrawn == ["ranks1"]
    # A figure's grid may name categories, as a table's may.
    assert {place.category for _, place, _ in panels(demo, "figureS2")} == {"weave"}
    assert {place.category for _, place, _ in panels(demo, "figure4")} == {"washer"}
    assert all(cell.recipe for table in demo.experiments.tables for cell in cells(demo, table))


def test_a_rivals_column_is_there_where_the_suite_names_its_method(paper: Suite) -> None:
    methods: dict[str, dict[str, object]] = {"PaDiM": {"dimension": 9}, "linear map": {}}
    suite = paper.model_copy(update={"methods": methods})
    for table, printed, shown in (
        ("table5", "PaDiM (WRN-50, 224)", "PaDiM (WRN-50, 224)"),
        ("table7", "PaDiM", "PaDiM"),
    ):
        assert "PaDiM" not in {cell.recipe.method for cell in cells(paper, table) if cell.recipe}
        columns = dict.fromkeys((cell.column, cell.paper[1]) for cell in cells(suite, table))
        assert list(columns)[-2:] == [(shown, printed), ("linear map", "linear map")]
        recipe = recipe_at(suite, table, "Average", printed).recipe
        assert isinstance(recipe, PaDiMRecipe)
        assert (recipe.dimension, recipe.features.crop) == (9, 224)
        assert recipe.features.layers == (1, 2, 3)


def test_a_method_has_a_column_of_its_own_where_the_suite_cannot_run_its_rivals(
    paper: Suite,
) -> None:
    def shown(suite: Suite) -> set[tuple[str, bool]]:
        found = cells(suite, "table5")
        return {(c.column, c.reason is None) for c in found if c.column.startswith("PNI")}

    suite = paper.model_copy(update={"methods": {"PNI": {}}})
    assert shown(suite) == {("PNI (WRN-101, 480)", True)}
    models = {name: model for name, model in paper.models.items() if name != "large"}
    smaller = suite.model_copy(update={"models": models})
    assert shown(smaller) == {("PNI ({large})", False), ("PNI", True)}


def test_trained_methods_alone_are_drawn_along_their_epochs(paper: Suite) -> None:
    assert left_out(paper, "epochs1") == "no method of the suite trains by epochs"
    methods: dict[str, dict[str, object]] = {"PaDiM": {}, "CFA": {"epochs": 3}, "RD4AD": {}}
    suite = paper.model_copy(update={"methods": methods})
    shown = {(name, recipe.method) for name, _, recipe in panels(suite, "epochs1")}
    assert shown == {("CFA (WRN-50, 224)", "CFA"), ("RD4AD", "RD4AD")}
    ours = set(runs_of(suite, "table5")) - set(runs_of(paper, "table5"))
    assert set(runs_of(suite, "epochs1")) == {
        run for run in ours if run.recipe.method in ("CFA", "RD4AD")
    }


def test_the_papers_default_is_one_run_in_all_the_tables_that_show_it(paper: Suite) -> None:
    shown = [
        ("table2", "ReConPatch", "512"),
        ("table3", "p = 3, layers 2+3", "Detection"),
        ("table4", "ReConPatch, w/o Aug.", "Average"),
        ("table5", "Average", "Ours (WRN-50, 224)"),
        ("tableS1", "Detection", "5"),
        ("tableS2", "Detection", "1"),
        ("tableS3", "Detection", "0.5"),
        ("tableS4", "Detection", "w/ Proj. Layer"),
        ("tableS5", "Average", "ReConPatch, w/o Aug."),
    ]
    recipes = {recipe_at(paper, *place).recipe for place in shown}
    assert len(recipes) == 1
    (default,) = recipes
    assert isinstance(default, Recipe)
    trained = default.representation
    assert (trained.dimension, trained.k, trained.epochs) == (512, 5, 120)


def test_settings_of_the_papers_models_arrive_in_their_cells(paper: Suite) -> None:
    large = recipe_at(paper, "table5", "bottle", "Ours (WRN-101, 480)").recipe
    assert isinstance(large, ReConPatchRecipe)
    assert (large.features.backbone, large.features.crop) == ("wide_resnet101_2", 480)
    assert large.features.resize_to == "square"
    assert (large.features.patch_size, large.representation.learning_rate) == (5, 1e-6)
    pixel = recipe_at(paper, "table5", "bottle", "Ours (WRN-50, 224)", "pixel_auroc").recipe
    assert isinstance(pixel, Recipe)
    assert (pixel.features.layers, pixel.features.patch_size) == ((1, 2, 3), 5)
    small = recipe_at(paper, "table6", "Detection", "PatchCore (320)").recipe
    assert isinstance(small, Ensemble)
    assert [member.method for member in small.members] == ["PatchCore"] * 3
    assert {member.features.target_dimension for member in small.members} == {384}
    assert {member.features.layer_dimension for member in small.members} == {1024}
    assert len({member.features.backbone for member in small.members}) == 3


def test_patchcore_is_measured_as_published_alike_and_on_the_same_features(paper: Suite) -> None:
    for table, row, published, alike, same, ours in (
        ("table2", "1024", "PatchCore", "PatchCore 1 %", "PatchCore, same features", "ReConPatch"),
        (
            *("table5", "bottle", "PatchCore (WRN-50, 224)", "PatchCore 1 % ({single})"),
            *("PatchCore, same features (WRN-50, 224)", "Ours (WRN-50, 224)"),
        ),
    ):
        places = [
            (n, row) if table == "table2" else (row, n) for n in (published, alike, same, ours)
        ]
        large, small, control, trained = (recipe_at(paper, table, *p).recipe for p in places)
        assert large.detection.coreset_share == 0.25
        assert large.detection.reweighting == "top_patch"
        assert large.features.target_dimension == 1024
        assert small == large.model_copy(
            update={"detection": large.detection.model_copy(update={"coreset_share": 0.01})}
        )
        assert control.method == "PatchCore"
        assert control.features == trained.features
        assert control.detection.model_dump() == trained.detection.model_dump()
        assert control.representation.dimension == (1024 if table == "table2" else None)


def test_refinement_is_of_the_same_ensembles_and_shared_between_tables(paper: Suite) -> None:
    plain, refined, structure, texture = (
        recipe_at(paper, table, "Detection", column).recipe
        for table, column in [
            ("tableS8", "ReConPatch (480)"),
            ("tableS8", "ReConPatch, refined (480)"),
            ("tableS7", "Structure"),
            ("tableS7", "Texture"),
        ]
    )
    assert isinstance(refined, Refined)
    assert isinstance(texture, Refined)
    assert refined.of == texture.of == plain
    assert refined == structure
    assert (refined.refinement.anomaly, texture.refinement.anomaly) == ("structure", "texture")
    assert refined.refinement.epochs == 500
    assert refined.method == "ReConPatch, refined"
    with pytest.raises(InputError, match=r"\{'anomly': 1\}.* no refinement: anomly: Extra"):
        paper.refined(refined.of, {"anomly": 1})


def test_a_difference_is_taken_between_the_cells_that_it_names(paper: Suite) -> None:
    drop = recipe_at(paper, "table4", "PatchCore, Diff.", "Object")
    before = recipe_at(paper, "table4", "PatchCore, w/o Aug.", "Object")
    after = recipe_at(paper, "table4", "PatchCore, w/ Aug.", "Object")
    assert (drop.recipe, drop.minus) == (before.recipe, after.recipe)
    assert before.recipe != after.recipe
    assert {place.kind for place in drop.places} == {"object"}
    assert len(drop.places) == 10


def test_unique_runs_are_less_than_half_of_what_the_cells_ask_for(paper: Suite) -> None:
    of_cells = sum(
        len(cell.places) * (1 + bool(cell.minus))
        for table in paper.experiments.tables
        for cell in cells(paper, table)
    )
    unique = {run for table in paper.experiments.tables for run in runs_of(paper, table)}
    assert len(unique) < of_cells / 2


def test_each_unique_run_has_one_batch_and_what_it_needs_comes_before(demo: Suite) -> None:
    work = batches(demo)
    runs = [run for batch in work for run in batch.runs]
    everything = (*demo.experiments.tables, *demo.experiments.figures)
    assert len(runs) == len(set(runs))
    assert set(runs) == {run for name in everything for run in runs_of(demo, name)}
    done: set[str] = set()
    trained: dict[tuple[str, str], str] = {}
    for batch in work:
        place = f"{batch.dataset}/{batch.category}"
        ready = {batch.id, *(f"{place}/{experiment}" for experiment in batch.after)}
        assert ready - {batch.id} <= done
        owner = {run: b.id for b in work for run in b.runs}
        for run in batch.runs:
            assert {owner[before] for before in run.ancestors} <= ready
            if run.representation:
                assert trained.setdefault((place, run.representation), batch.id) in ready
        done.add(batch.id)


def test_only_the_first_seed_is_timed(paper: Suite) -> None:
    twice = paper.model_copy(update={"seeds": (3, 4)})
    assert {run.seed for run in timed_runs(twice)} == {3}
    assert len(timed_runs(twice)) == 2 * 15


def test_what_a_suite_cannot_measure_says_why() -> None:
    elpv = load_suite(CONFIG / "suites" / "elpv.yaml", Path("data"), CONFIG)
    reasons = {
        table: {cell.reason for cell in cells(elpv, table)}
        for table in ("table4", "table6", "table7")
    }
    assert "the suite has no object category" in reasons["table4"]
    assert reasons["table6"] == {
        "the suite has no model ensemble_480",
        "the suite has no model ensemble_320",
    }
    assert reasons["table7"] == {"the suite has no data set that stands for BTAD"}


def test_changes_are_merged_setting_by_setting() -> None:
    base = {"representation": {"epochs": 3, "dimension": 8}, "features": {"crop": 1}}
    assert changed(base, {"representation": {"epochs": 5}}, {"detection": {}}) == {
        "representation": {"epochs": 5, "dimension": 8},
        "features": {"crop": 1},
        "detection": {},
    }


WHOLE = """
tables:
  table1:
    caption: a table
    rows: categories
    columns:
      - {name: a}
      - {name: b, recipe: {features: {patch_size: 5}}}
figures: {}
"""


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("caption:", "captoin:", "tables.table1.captoin: Extra inputs"),
        ("rows: categories", "rows: classes", "tables.table1.rows"),
        ("{name: a}", "{name: b}", "'b' is filled twice with image_auroc"),
        ("{name: a}", "{name: a, difference: [b, c]}", "difference of 'c', which is not there"),
        ("{name: a}", "{name: a, metrics: [auroc]}", "columns.0.metrics.0"),
        ("table1:", "Table 1:", "String should match pattern"),
        ("tables:", "tables: [", "is not YAML"),
    ],
)
def test_mistakes_are_named_with_their_place(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    path = tmp_path / "experiments.yaml"
    path.write_text(WHOLE)
    assert list(load_experiments(path).tables) == ["table1"]
    path.write_text(WHOLE.replace(old, new))
    with pytest.raises(InputError, match=complaint):
        load_experiments(path)


def test_several_files_make_one_set_and_a_name_stands_for_one_thing(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text(WHOLE)
    second.write_text(WHOLE.replace("table1:", "other1:"))
    assert list(load_experiments(first, second).tables) == ["table1", "other1"]
    second.write_text(WHOLE)
    with pytest.raises(InputError, match=r"second.yaml names table1 once more"):
        load_experiments(first, second)


def test_what_is_ranked_has_categories_for_rows(tmp_path: Path) -> None:
    path = tmp_path / "experiments.yaml"
    drawn = "figures: {ranks1: {caption: c, draws: ranks, table: table1}}"
    path.write_text(WHOLE.replace("figures: {}", drawn))
    assert list(load_experiments(path).figures) == ["ranks1"]
    path.write_text(path.read_text().replace("rows: categories", "rows: [{name: a}]"))
    with pytest.raises(InputError, match="ranks1 ranks table1, whose rows are not categories"):
        load_experiments(path)


def test_a_figure_may_draw_a_table_of_another_file(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text(WHOLE)
    second.write_text("tables: {}\nfigures: {sweep1: {caption: c, draws: sweep, table: table1}}\n")
    assert list(load_experiments(first, second).figures) == ["sweep1"]
    with pytest.raises(InputError, match=r"second.yaml: .*draws table1, which is not there"):
        load_experiments(second)


@pytest.mark.parametrize(
    ("figure", "complaint"),
    [
        (
            "{caption: c, draws: sweep, of: [{name: a}]}",
            "sweep, ranks, epochs and tradeoff draw a table",
        ),
        (
            "{caption: c, draws: maps, table: table1}",
            "sweep, ranks, epochs and tradeoff draw a table",
        ),
        ("{caption: c, draws: maps}", "sweep, ranks, epochs and tradeoff draw a table"),
        ("{caption: c, draws: sweep, table: table9}", "draws table9, which is not there"),
        (
            "{caption: c, draws: ranks, of: [{name: a}]}",
            "sweep, ranks, epochs and tradeoff draw a table",
        ),
    ],
)
def test_a_sweep_draws_a_table_and_others_draw_runs(
    tmp_path: Path, figure: str, complaint: str
) -> None:
    path = tmp_path / "experiments.yaml"
    path.write_text(WHOLE.replace("figures: {}", f"figures: {{sweep1: {figure}}}"))
    with pytest.raises(InputError, match=complaint):
        load_experiments(path)


def test_a_sweep_shows_its_tables_runs_and_an_ensembles_scaling_is_a_column(demo: Suite) -> None:
    assert runs_of(demo, "sweep1") == runs_of(demo, "evidence2")
    found = {
        cell.column: cell.recipe.deviation
        for cell in cells(demo, "evidence2")
        if isinstance(cell.recipe, Ensemble)
    }
    assert found == {"median": "median", "mean": "mean", "none": "none"}


def test_the_sweeps_of_what_is_left_open_pass_through_the_suites_own_recipe(tmp_path: Path) -> None:
    text = (CONFIG / "suites" / "demo.yaml").read_text()
    path = tmp_path / "swept.yaml"
    path.write_text(text.replace("evidence.yaml]", "evidence.yaml, sensitivity.yaml]"))
    suite = load_suite(path, Path("data"), CONFIG)
    own = suite.recipe_of("single", "ReConPatch")
    swept = {n: t.varies for n, t in suite.experiments.tables.items() if n.startswith("sensitiv")}
    assert set(swept.values()) == {
        *("sigma", "ema_momentum", "batch_size", "projection_dimension"),
        *("aggregation", "neighbour_set"),
    }
    for table in swept:
        recipes = {cell.recipe for cell in cells(suite, table)}
        assert own in recipes
        assert len(recipes) > 1


def test_the_studys_short_form_measures_what_the_whole_goes_on_from() -> None:
    short, whole = (
        load_suite(CONFIG / "suites" / f"{name}.yaml", Path("absent"), CONFIG)
        for name in ("study-short", "study")
    )
    drawn = {name for name, _, _ in panels(short, "figure1")}
    assert drawn == {"untrained", "rate 1e-5", "rate 1e-3"}
    asked = [{run for batch in batches(suite) for run in batch.runs} for suite in (short, whole)]
    assert asked[0] < asked[1]
