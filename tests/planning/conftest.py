"""A made-up suite that has all that a run can be, counted."""

from pathlib import Path

import pytest

from reconpatch.planning.workload import Workload, count_work
from reconpatch.suites.suite import load_suite

EXPERIMENTS = """
tables:
  table1:
    caption: one representation, one coreset, two shares of it
    rows: [{name: Detection}]
    columns:
      - {name: 1 %}
      - {name: 10 %, recipe: {detection: {coreset_share: 0.1}}}
  table2:
    caption: all else that a run can be
    rows: categories
    columns:
      - {name: ReConPatch}
      - {name: PatchCore, method: PatchCore}
      - {name: Half, recipe: {features: {layers: [2], stored_as: float16}}}
      - {name: Changed, recipe: {augmentation: {}}}
      - {name: Ensemble, model: pair}
      - {name: Refined, refinement: {epochs: 5, pool: 3, batch_size: 4}}
      - {name: No such model, model: large}
  table3:
    caption: times
    metrics: [inference_ms]
    rows: [{name: ReConPatch}]
    columns: [{name: Time}]
figures:
  figure1: {caption: an embedding, draws: embedding, of: [{name: R}], along_training: true}
  figure2: {caption: maps, draws: maps, of: [{name: R}]}
  figure3: {caption: nothing, draws: maps, of: [{name: R, model: large}]}
"""
ON_LAYER_MAPS = """
tables:
  table1:
    caption: what reads layer maps
    rows: [{name: Detection}]
    columns:
      - {name: PaDiM, method: PaDiM, recipe: {dimension: 12}}
      - {name: SPADE, method: SPADE, recipe: {features: {stored_as: float16}}}
      - {name: CFA, method: CFA, recipe: {epochs: 2}}
      - {name: RD4AD, method: RD4AD, recipe: {epochs: 1}}
figures: {}
"""
MADE_UP = """
title: two categories of MVTec AD, whose images are not here
datasets:
  - source: {layout: mvtec, dataset: mvtec, root: "{data_root}"}
    categories: [bottle, cable]
seeds: [0, 1]
keep_features: false
recipe:
  features: {backbone: efficientnet_lite0}
methods:
  ReConPatch: {representation: {epochs: 3, dimension: 64, projection_dimension: 32}}
models:
  single: {label: one}
  pair: {label: two, members: [{}, {features: {crop: 160}}]}
"""


def counted(suite: str, folder: Path, experiments: str = EXPERIMENTS) -> Workload:
    path, shown = folder / "suite.yaml", folder / "experiments.yaml"
    path.write_text(suite)
    shown.write_text(experiments)
    return count_work(load_suite(path, folder / "images", shown.parent), folder / "results")


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    return counted(MADE_UP, tmp_path_factory.mktemp("made_up"))
