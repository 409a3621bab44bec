"""The examples in docstrings say what the functions do."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "reconpatch"
MODULES = [
    "reconpatch." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text()
]
FIRST_READ = [
    "reconpatch.datasets.published.published_category",
    "reconpatch.detection.anomaly_map.anomaly_maps",
    "reconpatch.detection.coreset.coreset_size",
    "reconpatch.detection.coreset.greedy_coreset",
    "reconpatch.detection.ensemble.modified_z_score",
    "reconpatch.detection.memory_bank.MemoryBank",
    "reconpatch.evaluation.auroc.auroc",
    "reconpatch.evaluation.auroc.roc_curve",
    "reconpatch.evaluation.discriminability.discriminability_index",
    "reconpatch.reporting.memory_bank_size.memory_bank_bytes",
    "reconpatch.reporting.threshold.best_f1_threshold",
    "reconpatch.representation.loss.relaxed_contrastive_loss",
    "reconpatch.representation.similarity.nearest_neighbours",
    "reconpatch.representation.similarity.pairwise_similarity",
]


@pytest.mark.parametrize("module", MODULES)
def test_examples_show_what_comes_out(module: str) -> None:
    assert doctest.testmod(import_module(module), raise_on_error=False).failed == 0


def test_what_is_read_first_has_an_example() -> None:
    found = {
        test.name
        for module in MODULES
        for test in doctest.DocTestFinder().find(import_module(module))
        if test.examples
    }
    assert set(FIRST_READ) <= found
