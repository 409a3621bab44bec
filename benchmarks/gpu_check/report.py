"""The report: every line as JSON, and as tables in Markdown."""

import dataclasses
from pathlib import Path
from typing import Any

from benchmarks.gpu_check.check import Line, Value
from benchmarks.report import markdown_lines
from reconpatch.utils.files import atomic_write, write_json

REHEARSAL = (
    "This is a rehearsal on a CPU with small sizes. It shows that the checks run; nothing in it "
    "says anything of a GPU, and none of its times or sizes is one of the suite's."
)
HEADINGS = {
    "max_abs": "largest difference",
    "relative": "relative difference",
    "loss_relative": "of the losses",
    "equal_share": "equal choices",
    "same_place": "in the same place",
    "ms": "milliseconds",
    "over_products": "times its matrix products",
    "taken_s": "seconds",
    "fit_s": "seconds to fit",
    "peak_mib": "peak MiB",
    "stated_mib": "stated MiB",
    "images_a_second": "images a second",
    "without_copies": "without the copies",
    "patches_a_second": "patches a second",
}


def write_report(
    folder: Path, lines: list[Line], about: dict[str, Any], seconds: float, *, rehearsal: bool
) -> None:
    """Write ``gpu-check.json`` and ``gpu-check.md`` to a folder, each whole or not at all.

    A rehearsal's are called ``rehearsal.json`` and ``rehearsal.md``.
    """
    name = "rehearsal" if rehearsal else "gpu-check"
    content: dict[str, Any] = {"rehearsal": rehearsal}
    if rehearsal:
        content["caution"] = REHEARSAL
    content |= {
        "passed": not any(line.status == "failed" for line in lines),
        "seconds": round(seconds, 1),
        "machine": about,
        "lines": [dataclasses.asdict(line) for line in lines],
    }
    write_json(folder / f"{name}.json", content)
    with atomic_write(folder / f"{name}.md") as aside:
        aside.write_text(_markdown(lines, about, seconds, rehearsal=rehearsal))


def _markdown(lines: list[Line], about: dict[str, Any], seconds: float, *, rehearsal: bool) -> str:
    counts = {s: sum(line.status == s for line in lines) for s in ("passed", "failed", "skipped")}
    text = ["# " + ("A rehearsal of the GPU check, on a CPU" if rehearsal else "The GPU check"), ""]
    if rehearsal:
        text += [f"**{REHEARSAL}**", ""]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    machine = [
        f"{name.replace('_', ' ')}: {value}"
        for name, value in about.items()
        if name not in ("versions", "packages")
    ]
    text += [
        f"{counts['passed']} checks passed, {counts['failed']} failed, {counts['skipped']} were "
        f"skipped, in {seconds / 60:.1f} minutes.",
        "",
        *(f"- {each}" for each in machine),
        f"- versions: {versions}",
        f"- packages: {', '.join(about['packages'])}",
        "",
        "A relative difference is the norm of the difference over the norm on the CPU; for weights "
        "over how far they moved. Memory is the peak on the device, without what lay there before.",
    ]
    for section in dict.fromkeys(line.section for line in lines):
        text += _section(section, [line for line in lines if line.section == section])
    return "\n".join(text) + "\n"


def _section(title: str, lines: list[Line]) -> list[str]:
    names = list(dict.fromkeys(name for line in lines for name in line.values))
    headings = ["check", "outcome", *(HEADINGS.get(n, n.replace("_", " ")) for n in names), "took"]
    rows = [
        (
            line.what,
            line.status,
            *(_shown(name, line.values.get(name)) for name in names),
            f"{line.seconds:.1f} s",
        )
        for line in lines
    ]
    notes = [f"- {line.what} ({line.status}): {line.note}" for line in lines if line.note]
    table = markdown_lines(tuple(headings), rows)
    return ["", f"## {title}", "", *table, *([""] if notes else []), *notes]


def _shown(name: str, value: Value) -> str:
    if value is None:
        return ""
    if name.endswith(("_share", "_place", "_auroc", "_cpu")) and isinstance(value, float):
        return f"{value:.3%}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else value
