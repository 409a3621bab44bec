import ast
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from reconpatch.datasets.source import READERS
from reconpatch.methods.registry import METHODS
from reconpatch.utils.fingerprint import code_fingerprint, fingerprint
from reconpatch.utils.import_graph import PACKAGE
from reconpatch.utils.steps import DEVICES, STEPS

MODULE = '''"""A module."""

from toy.other import f  # A remark.

class A:
    """A class."""

    size = 3
    """What it is."""

    def area(self, x: int) -> int:
        """Return an area."""
        return f(x * self.size)

class Empty(Exception):
    """Nothing."""
'''


@pytest.mark.parametrize(
    ("old", "new", "stale"),
    [
        ("A module.", "The module.", False),
        ('"""A module."""\n', "", False),
        ("A class.", "A class.\n\n    Of its own.", False),
        ('    """A class."""\n', "", False),
        ("Return an area.", "Return the area.", False),
        ("What it is.", "How large it is.", False),
        ('"""Nothing."""', "pass", False),
        ("  # A remark.", "", False),
        ("size = 3", "size = (\n        3\n    )", False),
        ("import f", "import (f)", False),
        ("size = 3", "size = 4", True),
        ("x * self.size", "self.size * x", True),
        ("class Empty(Exception)", "class Empty(ValueError)", True),
        ("class Empty", "y = 'A remark.'\nclass Empty", True),
    ],
)
def test_only_code_counts(tmp_path: Path, old: str, new: str, stale: bool) -> None:
    assert MODULE.count(old) == 1
    before, after = tmp_path / "before" / "toy", tmp_path / "after" / "toy"
    for package, text in ((before, MODULE), (after, MODULE.replace(old, new))):
        package.mkdir(parents=True)
        (package / "module.py").write_text(text)
        (package / "other.py").write_text("def f(x): return x")
    prints = [code_fingerprint("toy.module", package=package) for package in (before, after)]
    assert (prints[0] != prints[1]) == stale


CODE_OF = {
    **STEPS,
    **{f"inspect {layout}": (reader,) for layout, reader in READERS.items()},
    **{f"learn {name}": (m.learner, DEVICES) for name, m in METHODS.items() if m.learner},
    **{f"detect {name}": (method.__module__, DEVICES) for name, method in METHODS.items()},
}
"""What computes each step; the report and its figures read all results, and are left out here."""
del CODE_OF["figure"], CODE_OF["report"]
INSPECTIONS = "inspect mvtec, inspect demo, inspect elpv"
LEARN = "learn ReConPatch, learn linear map, learn MHPatchcore"
BEHIND_LAYERS = "detect ReConPatch, detect linear map, detect MHPatchcore"
BANKS = f"detect PatchCore, {BEHIND_LAYERS}"
FLOWS = "detect FastFlow, detect CFLOW-AD"
TRAINED = f"detect CFA, detect RD4AD, {FLOWS}"
BY_EPOCHS = f"{TRAINED}, detect PNI"
DETECT = f"{BANKS}, detect PaDiM, detect SPADE, {BY_EPOCHS}"
MEASURE = "evaluate, fuse, refine"

Edit = Callable[[str], str]


def code(text: str) -> str:
    return f"{text}\nEDITED = 1\n"


def comment(text: str) -> str:
    return f"# A remark.\n{text}\n# Another.\n"


def docstrings(text: str) -> str:
    return re.sub(r'^( *)"""(?=\w)', r'\1"""Edited. ', text, flags=re.MULTILINE)


def formatting(text: str) -> str:
    return ast.unparse(ast.parse(text)).replace("\n", "\n\n")


def line(text: str) -> str:
    return f"{text}new,resnet18.a1_in1k,,\n"


# A file of the package, or all that match; what is done to it; the steps that this makes stale.
EDITS: list[tuple[str, Edit, str]] = [
    ("**/*.py", comment, ""),
    ("**/*.py", docstrings, ""),
    ("**/*.py", formatting, ""),
    ("datasets/elpv.py", code, "inspect elpv"),
    ("datasets/mvtec_layout.py", code, "inspect mvtec, inspect demo"),
    ("datasets/inspection.py", code, INSPECTIONS),
    ("datasets/images.py", code, f"demo, {INSPECTIONS}, extract, train refinement"),
    ("datasets/source.py", code, ""),
    ("datasets/published.py", code, "demo"),
    ("datasets/demo/weave.py", code, "demo"),
    ("datasets/demo/writer.py", code, "demo"),
    ("features/backbones.csv", line, ""),
    ("features/presets.py", code, ""),
    ("features/pretrained.py", code, ""),
    ("features/backbones.py", code, "extract, time, train refinement"),
    ("features/weights.py", code, "extract, time, train refinement"),
    (
        "features/aggregation.py",
        code,
        f"extract, time, train refinement, refine, detect SPADE, {TRAINED}",
    ),
    ("features/augmentation.py", code, "extract"),
    ("settings/features.py", code, f"extract, time, diagnose, {DETECT}, train refinement, refine"),
    ("settings/representation.py", code, f"{LEARN}, {BANKS}"),
    ("settings/refinement.py", code, "train refinement, refine"),
    ("representation/loss.py", code, "learn ReConPatch"),
    ("representation/similarity.py", code, LEARN),
    ("representation/linear_maps.py", code, LEARN),
    ("representation/file.py", code, BEHIND_LAYERS),
    ("representation/whitening.py", code, "learn MHPatchcore"),
    ("detection/coreset.py", code, f"{BANKS}, detect PNI"),
    ("detection/memory_bank.py", code, f"{BANKS}, detect PNI"),
    (
        "detection/anomaly_map.py",
        code,
        f"{MEASURE}, train refinement, time, detect PaDiM, {BY_EPOCHS}",
    ),
    ("detection/ensemble.py", code, "fuse, refine, train refinement"),
    ("methods/patchcore.py", code, "detect PatchCore"),
    ("methods/reconpatch.py", code, "detect ReConPatch"),
    ("methods/padim.py", code, "detect PaDiM"),
    ("methods/spade.py", code, "detect SPADE"),
    ("methods/memory_bank.py", code, BANKS),
    ("methods/trained.py", code, TRAINED),
    ("methods/by_epochs.py", code, BY_EPOCHS),
    ("methods/coupling.py", code, FLOWS),
    ("methods/pni_network.py", code, "detect PNI"),
    ("methods/cfa.py", code, "detect CFA"),
    ("methods/rd4ad_network.py", code, "detect RD4AD"),
    ("utils/epochs.py", code, f"train refinement, {BY_EPOCHS}"),
    ("methods/registry.py", code, ""),
    ("evaluation/auroc.py", code, MEASURE),
    ("evaluation/diagnostics.py", code, "diagnose"),
    ("refinement/training.py", code, "train refinement"),
    ("refinement/refine.py", code, "refine"),
    ("runs/timing.py", code, ""),
    ("runs/inference_time.py", code, "time"),
    ("runs/batch.py", code, ""),
    ("runs/recipe_run.py", code, ""),
    ("fetching/transfer.py", code, ""),
    ("reporting/draw.py", code, ""),
    (
        "utils/devices.py",
        code,
        f"extract, diagnose, train refinement, time, {LEARN}, {DETECT}, {MEASURE}",
    ),
    ("utils/provenance.py", code, ""),
    ("utils/fingerprint.py", code, ""),
]


@pytest.mark.parametrize(
    ("file", "edit", "stale"), EDITS, ids=[f"{edit.__name__} of {file}" for file, edit, _ in EDITS]
)
def test_what_an_edit_makes_stale(tmp_path: Path, file: str, edit: Edit, stale: str) -> None:
    package = tmp_path / PACKAGE.name
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    edited = list(package.glob(file))
    assert edited
    for path in edited:
        path.write_text(edit(path.read_text()))
    found = {
        step
        for step, modules in CODE_OF.items()
        if code_fingerprint(*modules, package=package) != code_fingerprint(*modules)
    }
    assert found == set(stale.split(", ")) - {""}


def test_a_fingerprint_tells_its_parts_apart() -> None:
    parts = [("a", "b"), ("ab",), ("b", "a"), ("a", "b", 0), ("a", "b", "0")]
    assert len({fingerprint(*each) for each in parts}) == len(parts)
