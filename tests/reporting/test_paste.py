"""Tables as text: LaTeX that compiles, Markdown that renders, and one at a time in the terminal."""

import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from reconpatch.reporting.formats import latex, markdown, wide
from reconpatch.reporting.table import COLUMNS
from reconpatch.reporting.terminal import print_table
from reconpatch.suites.cells import AVERAGE
from reconpatch.utils.errors import InputError

LATEX = shutil.which("pdflatex")
CELLS = [
    ("metal_nut", "PatchCore & co, 1 %", "99.1", 98.2, 0.1),
    ("metal_nut", "ReConPatch_{x}", None, None, None),
    ("Average", "PatchCore & co, 1 %", "99.1", 98.2, 0.1),
    ("Average", "ReConPatch_{x}", "95.60", 97.0, 0.2),
]
TIDY = pd.DataFrame(
    [
        {
            "row": row,
            "column": column,
            "metric": "image_auroc",
            "paper": paper,
            "measured": measured,
            "std": std,
            "comparable": row != AVERAGE,
        }
        for row, column, paper, measured, std in CELLS
    ],
    columns=COLUMNS,
)


@pytest.mark.skipif(LATEX is None, reason="no pdflatex here")
def test_latex_compiles(tmp_path: Path) -> None:
    table = latex(wide(TIDY), "Table 5: by category & in %, for x_1", "tab:table5")
    document = (
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
        f"{table}\nTable~\\ref{{tab:table5}}.\n\\end{{document}}\n"
    )
    (tmp_path / "paper.tex").write_text(document)
    command = [str(LATEX), "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "paper.pdf").stat().st_size > 1000
    assert "Undefined control sequence" not in done.stdout


def test_markdown_renders_as_a_table() -> None:
    tokens = MarkdownIt().enable("table").parse(markdown(wide(TIDY)))
    kinds = [token.type for token in tokens]
    assert (kinds.count("table_open"), kinds.count("tr_open")) == (1, 3)
    texts = [token.content for token in tokens if token.type == "inline"]
    assert texts[1:] == [
        *("PatchCore & co, 1 %", "ReConPatch_{x}"),
        *("Metal nut", "98.20 ± 0.10 [99.1]", "–"),
        *("Average", "98.20 ± 0.10 [99.1†]", "97.00 ± 0.20 [95.60†]"),
    ]


@pytest.fixture
def report(tmp_path: Path) -> Path:
    (tmp_path / "tables").mkdir()
    (tmp_path / "report.html").write_text("")
    for name in ("table5", "tableS3", "sensitivity1"):
        TIDY.to_csv(tmp_path / "tables" / f"{name}.csv", index=False)
        (tmp_path / "tables" / f"{name}.md").write_text(f"The caption of {name}.\n\n| a |\n")
        (tmp_path / "tables" / f"{name}.tex").write_text("\\begin{table}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        *(("5", "table5"), ("table5", "table5"), ("Table 5", "table5")),
        *(("s3", "tableS3"), ("S3", "tableS3"), ("sensitivity1", "sensitivity1")),
    ],
)
def test_a_table_is_printed_by_any_of_its_names(
    report: Path, asked: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_table(report, asked, "terminal")
    printed = capsys.readouterr().out
    assert f"The caption of {name}." in printed
    assert "98.20 ± 0.10" in printed
    print_table(report, asked, "latex")
    assert capsys.readouterr().out == "\\begin{table}\n"
    print_table(report, asked, "csv")
    assert capsys.readouterr().out == (report / "tables" / f"{name}.csv").read_text()


def test_an_unknown_table_and_a_missing_report_are_named(report: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no table 6; it has table5, tableS3, sensitivity1"):
        print_table(report, "6", "terminal")
    with pytest.raises(InputError, match="There is no report"):
        print_table(tmp_path / "none", "5", "terminal")
