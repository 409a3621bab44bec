"""What is measured: suites, experiments, the cells of tables, and the runs behind them."""

from reconpatch.suites.cells import AVERAGE, KINDS, Cell, cells, panels
from reconpatch.suites.experiments import (
    Changes,
    Entry,
    Experiment,
    Experiments,
    Method,
    Metric,
    changed,
    load_experiments,
    parts,
    title,
)
from reconpatch.suites.runs import Batch, Run, backbones, batches, runs_of, summary, timed_runs
from reconpatch.suites.suite import Model, Place, Suite, SuiteDataset, load_suite

__all__ = [
    "AVERAGE",
    "KINDS",
    "Batch",
    "Cell",
    "Changes",
    "Entry",
    "Experiment",
    "Experiments",
    "Method",
    "Metric",
    "Model",
    "Place",
    "Run",
    "Suite",
    "SuiteDataset",
    "backbones",
    "batches",
    "cells",
    "changed",
    "load_experiments",
    "load_suite",
    "panels",
    "parts",
    "runs_of",
    "summary",
    "timed_runs",
    "title",
]
