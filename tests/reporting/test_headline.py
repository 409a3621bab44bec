"""The sentence that a report begins with, over made-up categories on all sides of its lines."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from reconpatch.reporting.claims import Check, Claim
from reconpatch.reporting.draw import write_figure
from reconpatch.reporting.headline import Compared, headline
from reconpatch.reporting.judging import judge_claims
from reconpatch.reporting.table import UNPUBLISHED, Results, table
from reconpatch.reporting.terminal import print_tables
from reconpatch.settings.base import read_settings
from reconpatch.suites.cells import left_out
from reconpatch.suites.runs import Run, runs_of
from reconpatch.suites.suite import Suite, load_suite
from reconpatch.utils.errors import InputError
from reconpatch.utils.record import write_record

CONFIG = Path(__file__).parents[2] / "config"
NAMED = read_settings(CONFIG / "headline.yaml", tuple[Compared, ...], "the headline's comparisons")
COMPARED = NAMED[0]
CHECK = Check.model_validate(
    {"kind": "ahead", **COMPARED.model_dump(), "than": {"column": COMPARED.than}}
)
NAMES = ["bottle", "cable", "capsule", "carpet", "grid", "hazelnut"]

Made = Callable[..., tuple[Suite, Results]]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Make a suite of categories in which ReConPatch leads PatchCore's 90 % by so many points."""

    def make(
        leads: Sequence[float],
        noise: float = 0.0,
        seeds: tuple[int, ...] = (0,),
        of_seed: Sequence[float] = (0.0, 0.0, 0.0),
        more: str = "",
    ) -> tuple[Suite, Results]:
        path = tmp_path / "made-up.yaml"
        path.write_text(
            f"""
title: made up
experiments: [experiments.yaml, evidence.yaml]
datasets:
  - source: {{layout: mvtec, dataset: mvtec, root: "{{data_root}}"}}
    categories: [{", ".join(NAMES[: len(leads)])}]
seeds: {list(seeds)}
keep_features: true
recipe: {{features: {{backbone: efficientnet_lite0}}}}
models: {{single: {{label: small}}}}
{more}
"""
        )
        suite = load_suite(path, tmp_path, CONFIG)
        for name in ("table2", "table5"):
            for run in runs_of(suite, name):
                leave(tmp_path / "runs", run, leads[NAMES.index(run.category)], noise, of_seed)
        return suite, Results(tmp_path / "runs")

    return make


def leave(results: Path, run: Run, lead: float, noise: float, of_seed: Sequence[float]) -> None:
    value = 0.9
    if getattr(run.recipe, "method", "") == "ReConPatch":
        value += (lead + of_seed[run.seed]) / 100
    rng = np.random.default_rng(len(run.id) + sum(map(ord, run.id)))
    resampled = {m: value + noise / 100 * rng.normal(size=1000) for m in ("image_auroc",)}
    metrics = {"image_auroc": value, "pixel_auroc": value}
    (results / run.id).mkdir(parents=True, exist_ok=True)
    np.savez(results / run.id / "replicates.npz", **resampled)
    content = {"metrics": metrics, "reasons": {}}
    write_record(results / run.id / "metrics.json", "", content, ["replicates.npz"])


def test_a_lead_is_told_with_its_data_interval_categories_and_seeds(made: Made) -> None:
    suite, results = made([1.0, 2.0, 0.004, -0.2], noise=0.2)
    said = headline(NAMED, [], suite, results)
    assert said.startswith(
        "On the average of bottle, cable, capsule and carpet of mvtec, ReConPatch (small) has "
        "0.70 points more image AUROC than PatchCore 25 % (small) (95 % interval +0."
    )
    assert said.endswith(
        "; 2 categories won, 1 tied, 1 lost; seed 0 alone) and is ahead (p < 0.001; "
        "p < 0.001 after Holm's correction over 1 comparison)."
    )


def test_a_loss_is_told_as_one(made: Made) -> None:
    suite, results = made([-1.0], noise=0.1)
    said = headline(NAMED, [], suite, results)
    assert said.startswith("On bottle of mvtec, ReConPatch (small) has 1.00 points less image ")
    assert "won" not in said
    assert " and is behind (" in said


def test_what_cannot_be_told_says_what_would_have_shown(made: Made) -> None:
    suite, results = made([0.1] * 6, noise=1.0)
    said = headline(NAMED, [], suite, results)
    assert said.startswith("On the average of 6 categories of mvtec, ")
    assert ", and which is ahead cannot be told (p = 0." in said
    # Differences of two runs' noise, averaged over six: 1.41 / 2.45 points, 2.8 times that.
    size = float(said.partition("a difference of ")[2].split()[0])
    assert size == pytest.approx(2.80 * np.sqrt(2 / 6), rel=0.1)
    assert said.endswith(" points or more would have shown.")


def test_two_equal_detectors_are_not_told_apart(made: Made) -> None:
    suite, results = made([0.0, 0.0])
    said = headline(NAMED, [], suite, results)
    assert "0.00 points more" in said
    assert "0 categories won, 2 tied, 0 lost" in said
    assert "cannot be told (p = 1.000" in said


def test_the_correction_counts_the_claims(made: Made) -> None:
    # Two standard errors, about: told alone, and not among a dozen claims.
    suite, results = made([0.5] * 6, noise=0.38)
    claims = read_settings(CONFIG / "claims.yaml", tuple[Claim, ...], "claims")
    judged = judge_claims(claims, suite, results, {})
    decided = sum(claim.p is not None for claim in judged)
    assert decided > 1
    alone, among = (headline(NAMED, each, suite, results) for each in ([], judged))
    assert "and is ahead" in alone
    assert f"over {decided + 1} comparisons" in among
    assert "cannot be told" in among


def test_seeds_are_named_and_widen_the_interval(made: Made) -> None:
    suite, results = made([1.0, 1.0], noise=0.01, seeds=(0, 1, 2), of_seed=(-0.9, 0.0, 0.9))
    said = headline(NAMED, [], suite, results)
    assert "seeds 0, 1, 2)" in said
    # Student's t with two degrees of freedom: 4.303 x 0.9 / sqrt(3) = 2.24 around 1.
    assert "95 % interval -1.24 to +3.24" in said
    assert "cannot be told" in said


def test_without_both_values_the_reason_is_said(made: Made) -> None:
    suite, _ = made([1.0])
    said = headline(NAMED, [], suite, Results(Path("nowhere")))
    assert said.startswith("There is no headline: ")
    assert said.endswith("not measured.")


def test_a_table_of_more_seeds_is_compared_on_the_seeds_that_both_have(made: Made) -> None:
    """Table 5 of three seeds less Table 2 of one: seed 0 alone is paired."""
    more = "more_seeds: {table5: [0, 1, 2]}"
    suite, results = made([1.0, 1.0], noise=0.01, of_seed=(0.5, 2.0, 2.0), more=more)
    said = headline(NAMED, [], suite, results)
    assert "2.50 points more" in said
    spread = table(suite, "table5", results, UNPUBLISHED).set_index(["row", "column", "metric"])
    assert spread["std"]["Average", "ReConPatch (small)", "image_auroc"] == pytest.approx(
        0.866, abs=1e-3
    )
    assert table(suite, "table2", results, UNPUBLISHED)["std"].isna().all()
    check = Check.model_validate(
        {
            **CHECK.model_dump(),
            "than": {"table": "table2", "row": "PatchCore", "column": "512"},
        }
    )
    claim = Claim(name="n", says="s", where="w", checks=(check,))
    ((found,),) = (each.evidence for each in judge_claims((claim,), suite, results, {}))
    assert found.difference
    assert found.difference.value == pytest.approx(1.5)
    assert found.difference.seeds == 1


def test_categories_are_counted_where_both_values_show_the_same(made: Made) -> None:
    suite, results = made([1.0, 0.004, -1.0])
    level = CHECK.model_copy(update={"kind": "level"})
    claim = Claim(name="n", says="s", where="w", checks=(CHECK, level))
    (found,) = judge_claims((claim,), suite, results, {})
    ahead, same = found.evidence
    assert str(ahead.categories) == "1 category won, 1 tied, 1 lost"
    assert same.categories is None


def test_methods_are_ranked_over_five_categories_or_more(made: Made, tmp_path: Path) -> None:
    suite, _ = made([1.0, 1.0, 1.0, 1.0, -1.0])
    assert left_out(suite, "ranks1") is None
    (tmp_path / "results").mkdir()
    (tmp_path / "runs").rename(tmp_path / "results" / "runs")
    write_figure(suite, "ranks1", tmp_path / "results", tmp_path / "figures")
    svg = (tmp_path / "figures" / "ranks1.svg").read_text()
    assert all(name in svg for name in ("ReConPatch (small) 1.", "PatchCore 25 % (small) "))
    assert "mean rank over 5 categories" in svg
    few, _ = made([1.0] * 4)
    assert left_out(few, "ranks1") == (
        "methods are ranked over 5 categories or more, and the suite has 4"
    )
    assert runs_of(few, "ranks1") == []
    with pytest.raises(InputError, match=r"does not draw ranks1: methods are ranked over 5"):
        write_figure(few, "ranks1", tmp_path / "results", tmp_path / "figures")


def test_the_terminal_begins_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    (tmp_path / "tables").mkdir()
    (tmp_path / "report.html").touch()
    said = "On bottle of mvtec, ReConPatch has 1.00 points more image AUROC than PatchCore [x]."
    (tmp_path / "headline.txt").write_text(f"{said}\n")
    print_tables(tmp_path)
    assert capsys.readouterr().out.startswith(f"{said}\n")
