"""The DAG as users run it: in a folder of its own, by snakemake's command line."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reconpatch.fetching.catalogue import known_datasets
from tests.conftest import (
    ROOT,
    TABLES,
    TINY_CONFIG,
    planned_jobs,
    snakemake,
    write_checkout,
)


def tidy(folder: Path, table: str) -> pd.DataFrame:
    """A table's cells that rest on runs, which are given as a list."""
    cells = pd.read_csv(folder / "reports" / "tiny" / "tables" / f"{table}.csv")
    cells = cells.dropna(subset=["runs"])
    return cells.assign(runs=cells["runs"].map(json.loads))


def records(folder: Path, runs: list[str], name: str = "metrics.json") -> list[dict]:
    return [json.loads((folder / "results" / "runs" / run / name).read_text()) for run in runs]


def test_every_measured_figure_is_what_the_runs_behind_it_say(finished: Path) -> None:
    tables = sorted((finished / "reports" / "tiny" / "tables").glob("*.csv"))
    assert len(tables) == 6
    for path in tables:
        ours = tidy(finished, path.stem)
        assert len(ours)
        assert ours["measured"].notna().all(), path
        for cell in ours.itertuples():
            if cell.metric == "inference_ms":
                (record,) = records(finished, cell.runs, "inference.json")
                assert len(record["milliseconds"]) == 30
                assert cell.measured == pytest.approx(np.mean(record["milliseconds"]))
                continue
            behind = [100 * s["metrics"][cell.metric] for s in records(finished, cell.runs)]
            expected = np.mean(behind[:2])
            if cell.column == "drop":
                expected -= np.mean(behind[2:])
            assert cell.measured == pytest.approx(expected)
            assert cell.low <= cell.measured + 1e-3
            assert cell.high >= cell.measured - 1e-3
            assert {s["seed"] for s in records(finished, cell.runs)} == {0, 1}


def test_methods_and_members_are_those_that_the_columns_name(finished: Path) -> None:
    for cell in tidy(finished, "table5").itertuples():
        assert {s["method"] for s in records(finished, cell.runs)} == {cell.column}
    plain, refined = tidy(finished, "table6").itertuples()
    assert plain.column == "ReConPatch (two sizes)"
    for cell in (plain, refined):
        for record in records(finished, cell.runs):
            members = records(finished, record["members"])
            assert [m["recipe"]["features"]["patch_size"] for m in members] == [3, 5]
            assert {m["seed"] for m in members} == {record["seed"]}
    for run in refined.runs:
        (training,) = records(finished, [run], "network.json")
        assert training["simulated_images"] == 8
        # What it was made of is gone.
        folder = finished / "results" / "runs" / run
        assert {path.stem for path in folder.iterdir()} == {"metrics", "network", "replicates"}


def test_pseudo_labels_are_told_of_where_something_is_trained(finished: Path) -> None:
    for cell in tidy(finished, "table5").itertuples():
        for record in records(finished, cell.runs):
            shares = [record["metrics"][f"labels_near_{end}"] for end in ("zero", "one")]
            if cell.column == "PatchCore":
                assert shares == [None, None]
                assert record["reasons"]["labels_near_zero"] == "nothing is trained"
            else:
                assert 0 <= min(shares) <= sum(shares) <= 1


def test_figures_are_drawn_and_the_page_holds_tables_and_figures(finished: Path) -> None:
    reports = finished / "reports" / "tiny"
    drawn = {path.name for path in (reports / "figures").iterdir()}
    names = ("figure3", "figure4", "figure5", "figureS2", "figureS5", "sweep9")
    assert drawn == {f"{name}.{form}" for name in names for form in ("svg", "png")}
    page = (reports / "report.html").read_text()
    assert all(f'id="{name}"' in page for name in (*names, "table1", "tableS6"))
    assert "Not drawn: Figure S4 (" in page


def test_snakemakes_own_report_has_tables_and_figures_with_captions(
    finished: Path, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    snakemake(finished, "--report", str(path), *TINY_CONFIG)
    text = path.read_text()
    for name in ("tables/table1.csv", "figures/figure3.svg", "figures/sweep9.svg", "report.html"):
        assert f"reports/tiny/{name}" in text
    for said in ("Sensitivity", "Robustness", "the ends of the 95 % bootstrap interval", "Sweep 9"):
        assert said in text


def test_a_finished_suite_has_nothing_left_to_do(finished: Path) -> None:
    assert "Nothing to be done" in snakemake(finished, *TINY_CONFIG)
    # How a GPU is used decides no number.
    assert "Nothing to be done" in snakemake(finished, *TINY_CONFIG, "cuda_graph=off")


def test_each_job_left_what_it_took(finished: Path) -> None:
    logs = finished / "logs"
    jobs = {
        path.relative_to(logs).with_suffix("")
        for path in logs.rglob("*.log")
        if not path.name.startswith("data-")  # Rule data has none.
    }
    took = logs / "benchmarks"
    assert {path.relative_to(took).with_suffix("") for path in took.rglob("*.tsv")} == jobs
    for path in took.rglob("*.tsv"):
        (row,) = pd.read_csv(path, sep="\t").itertuples()
        assert row.s > 0
    aside = finished / "aside"
    logs.rename(aside)
    try:
        assert "Nothing to be done" in snakemake(finished, *TINY_CONFIG)
    finally:
        aside.rename(logs)


def test_the_timing_job_runs_alone(finished: Path) -> None:
    planned = snakemake(finished, "-nF", "--cores", "7", *TINY_CONFIG)
    (timing,) = re.findall(r"^rule time_inference:.*?^$", planned, re.MULTILINE | re.DOTALL)
    assert "threads: 7" in timing


@pytest.mark.parametrize("dry", [("--dry-run",), ("-nq", "rules")])
def test_a_dry_run_counts_the_runs_behind_each_table(dry: tuple[str, ...], finished: Path) -> None:
    printed = snakemake(finished, *dry, *TINY_CONFIG)
    counts = dict(re.findall(r"^(table\w+|in all) .* (\d+)$", printed, re.MULTILINE))
    # Two seeds: 50 % and 10 %; PatchCore; patch size 5, ensemble, refined; k = 3; augmented.
    assert counts == {
        "table1": "4",
        "table5": "2",
        "table6": "6",
        "tableS1": "2",
        "tableS5": "2",
        "tableS6": "0",
        "in all": "16",
    }


def test_a_stale_lock_is_taken_away_without_further_words(finished: Path) -> None:
    command = [sys.executable, "-m", "snakemake", "--unlock", *TINY_CONFIG[:2]]
    subprocess.run([*command, "data_root=images"], cwd=finished, check=True)


def test_a_changed_experiment_reruns_what_depends_on_it_alone(finished: Path) -> None:
    experiments = finished / "config" / "experiments.yaml"
    experiments.write_text(TABLES.replace("{k: 3}", "{k: 4}"))
    try:
        planned = snakemake(finished, "--dry-run", *TINY_CONFIG)
        jobs = {"measure": 1, "figure": 1, "report": 1, "all": 1}
        assert planned_jobs(planned) == {**jobs, "total": 4}
        assert set(re.findall(r"experiment=(\w+)", planned)) == {"tableS1"}
    finally:
        experiments.write_text(TABLES)


def test_an_image_overwritten_in_place_is_read_anew(tmp_path: Path) -> None:
    """Also where size and time stamp are set back to what they were."""
    write_checkout(tmp_path)
    planned = re.search(r"\S+/category\.json", snakemake(tmp_path, "--dry-run", *TINY_CONFIG))
    assert planned
    inspected = (planned[0], *TINY_CONFIG)
    snakemake(tmp_path, *inspected)
    assert "Nothing to be done" in snakemake(tmp_path, *inspected)
    image = tmp_path / "images" / "washer" / "test" / "good" / "000.png"
    before, times = image.read_bytes(), image.stat()
    image.write_bytes(before[:-20] + bytes(20))
    os.utime(image, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert planned_jobs(snakemake(tmp_path, "--dry-run", *inspected))["inspect"] == 1


def test_a_replaced_weights_file_has_its_features_made_anew(finished: Path) -> None:
    replaced = finished / "weights" / "efficientnet_lite0.pth"
    replaced.parent.mkdir(exist_ok=True)
    replaced.write_bytes(b"others")
    try:
        assert planned_jobs(snakemake(finished, "--dry-run", *TINY_CONFIG))["extract"] > 0
    finally:
        replaced.unlink()


def test_a_new_table_measures_its_own_runs_and_draws_the_report_anew(finished: Path) -> None:
    experiments = finished / "config" / "experiments.yaml"
    new = """
  tableS2:
    caption: margins
    rows: [{name: Detection}]
    columns: [{name: "2", recipe: {representation: {margin: 2.0}}}, {name: "1"}]
figures:
"""
    experiments.write_text(TABLES.replace("figures:\n", new.lstrip("\n")))
    try:
        planned = snakemake(finished, "--dry-run", *TINY_CONFIG)
        assert planned_jobs(planned) == {"measure": 1, "report": 1, "all": 1, "total": 3}
    finally:
        experiments.write_text(TABLES)


def test_a_killed_batch_goes_on_where_it_stopped(finished: Path) -> None:
    """The results of an unbroken run, and the finished part is not measured again."""
    batch = "table1"
    (manifest,) = (finished / "results" / "batches").rglob(f"{batch}.json")
    runs = json.loads(manifest.read_text())["runs"]
    folders = [finished / "results" / "runs" / run for run in runs]
    for folder in folders:
        shutil.rmtree(folder)
    manifest.unlink()
    dataset, category = manifest.parts[-3:-1]
    command = f"{sys.executable} -m reconpatch measure --suite tiny --data-root images --threads 1"
    arguments = ["--experiment", batch, "--dataset", dataset, "--category", category]
    process = subprocess.Popen([*command.split(), *arguments, "--device", "cpu"], cwd=finished)
    while not any((folder / "metrics.json").exists() for folder in folders):
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = {
        f: (f / "metrics.json").stat().st_mtime_ns for f in folders if (f / "metrics.json").exists()
    }
    assert 0 < len(first) < len(folders)
    subprocess.run([*command.split(), *arguments, "--device", "cpu"], cwd=finished, check=True)
    assert json.loads(manifest.read_text())["runs"] == runs
    assert {f: (f / "metrics.json").stat().st_mtime_ns for f in first} == first


def test_paper_without_its_data_stops_before_any_work(checkout: Path) -> None:
    refused = snakemake(checkout, succeeds=False)
    for word in ("in data/mvtec", "CC BY-NC-SA 4.0", "docs/data.md", "suite=demo"):
        assert word in refused
    assert "--config suite=paper accept_mvtec_licence=true" in refused
    (checkout / "data" / "mvtec" / "bottle" / "train").mkdir(parents=True)
    partial = snakemake(checkout, succeeds=False)
    assert "data/mvtec/cable" in partial
    assert "data/mvtec/bottle" not in partial
    shutil.rmtree(checkout / "data")
    assert not (checkout / "results" / "data" / "mvtec").exists()


def test_paper_with_its_folders_plans_every_run(tmp_path: Path) -> None:
    for part in ("config", "workflow", "profiles"):
        shutil.copytree(ROOT / part, tmp_path / part)
    for part in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / part, tmp_path / part)
    for category in known_datasets()["mvtec"].categories:
        (tmp_path / "data" / "mvtec" / category / "train" / "good").mkdir(parents=True)
    for product in ("01", "02", "03"):
        (tmp_path / "data" / "btad" / product / "train" / "ok").mkdir(parents=True)
    planned = snakemake(tmp_path, "--dry-run", "--quiet", "rules")
    jobs = planned_jobs(planned)
    assert (jobs["inspect"], jobs["measure"], jobs["figure"]) == (18, 198, 11)
    # Simulated defects of Table S7 are filled with it.
    assert jobs["fetch_dtd"] == 1
    assert re.search(r"^in all +3591 +969$", planned, re.MULTILINE)


def test_a_failed_step_fails_the_run(checkout: Path, tmp_path: Path) -> None:
    """Although its output goes through a pipe, to its log."""
    tiny = (checkout / "config" / "suites" / "tiny.yaml").read_text()
    suite = checkout / "config" / "suites" / "wide.yaml"
    suite.write_text(tiny.replace("efficientnet_lite0", "wide_resnet50_2"))
    (tmp_path / "wide_resnet50_2-00000000.pth").touch()
    config = ("--config", "suite=wide", f"weights_folder={tmp_path}", *TINY_CONFIG[2:])
    try:
        assert "00000000.pth is damaged" in snakemake(checkout, "data", *config, succeeds=False)
    finally:
        suite.unlink()


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ("suite=papr", "There is no suite papr; there are: demo, elpv, "),
        ("data_rot=images", "config has no data_rot"),
    ],
)
def test_a_mistyped_config_is_named(checkout: Path, config: str, complaint: str) -> None:
    assert complaint in snakemake(checkout, "--dry-run", "--config", config, succeeds=False)
