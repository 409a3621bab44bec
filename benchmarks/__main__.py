"""Measure everything, print the table, write the report: ``python -m benchmarks``."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from benchmarks import coreset, end_to_end, scaling, training
from benchmarks.data import category_folder, patch_matrix
from benchmarks.measure import console
from benchmarks.plan import FULL, QUICK
from benchmarks.report import terminal_table, write_csv, write_markdown
from reconpatch.utils.devices import set_up_torch
from reconpatch.utils.errors import InputError


def main() -> None:
    """Run all sections. The end-to-end section comes first, as the others use its features."""
    arguments = _arguments()
    plan = QUICK if arguments.quick else FULL
    begun = time.perf_counter()
    set_up_torch("cpu", arguments.threads)
    with tempfile.TemporaryDirectory(prefix="reconpatch-bench-") as name:
        work = Path(name)
        folder = category_folder(arguments.data, plan, work)
        console.rule(f"PatchCore end to end on {folder.name}")
        findings = [end_to_end.measure(folder, plan, work, arguments.threads)]
        patches = end_to_end.ours(folder.name, work).train_features.patches("train")
        console.rule("Training")
        findings.append(training.measure(patches, plan))
        console.rule("Coreset")
        features, source = patch_matrix(patches, plan.patches)
        findings.append(coreset.measure(features, source, plan))
        del features
        console.rule("How the coreset grows")
        findings.append(scaling.measure(plan, arguments.output))
    rows = [row for finding in findings for row in finding.rows]
    write_csv(rows, arguments.output / "bench.csv")
    minutes = (time.perf_counter() - begun) / 60
    write_markdown(findings, plan, minutes, arguments.output / "bench.md")
    console.print(terminal_table(rows))
    console.print(f"{minutes:.1f} minutes; the report is {arguments.output / 'bench.md'}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="run smaller sizes, in under three minutes"
    )
    parser.add_argument(
        "--data", type=Path, help="folder of MVTec AD's categories (default: a drawn washer)"
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--output", type=Path, default=Path("reports/bench"))
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        Console(stderr=True, highlight=False).print(f"Error: {error}", style="red", markup=False)
        sys.exit(2)
