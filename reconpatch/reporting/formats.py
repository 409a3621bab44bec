"""Tidy tables as people read and paste them: in the paper's shape, as Markdown and LaTeX."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from reconpatch.suites.cells import AVERAGE
from reconpatch.suites.experiments import Metric

MISSING = "–"
NOT_MEASURED = "not measured: "
NOT_RUN = "a figure of the paper's; the method is not run here"
OWN_DATA = "†"
LEGEND = (
    "Measured, ± its standard deviation over seeds; in brackets what the paper prints, with "
    f"{OWN_DATA} where its data, backbone or image size are others: not to be compared."
)


@dataclass(frozen=True)
class Form:
    """How a metric's figures are written: its name, its unit, and the decimals."""

    name: str
    unit: str
    decimals: int = 2

    def text(self, value: float) -> str:
        """Return a figure as text."""
        return f"{value:.{self.decimals}f}"


METRICS: dict[Metric, Form] = {
    "image_auroc": Form("image AUROC", "%"),
    "pixel_auroc": Form("pixel AUROC", "%"),
    "image_ap": Form("image AP", "%"),
    "image_f1_max": Form("image F1-max", "%"),
    "pixel_ap": Form("pixel AP", "%"),
    "pixel_f1_max": Form("pixel F1-max", "%"),
    "aupro_30": Form("AU-PRO 30 %", "%"),
    "aupro_5": Form("AU-PRO 5 %", "%"),
    "best_image_auroc": Form("image AUROC, best epoch on the test images", "%"),
    "best_pixel_auroc": Form("pixel AUROC, best epoch on the test images", "%"),
    "image_auroc_optimism": Form("image AUROC, best less last epoch", "%"),
    "pixel_auroc_optimism": Form("pixel AUROC, best less last epoch", "%"),
    "inference_ms": Form("time", "ms"),
    "scoring_ms": Form("scoring", "ms"),
    "model_mib": Form("model", "MiB", 1),
    "discriminability_index": Form("d′", ""),
    "effective_rank": Form("effective rank", "", 1),
    "neighbour_overlap": Form("neighbours kept", ""),
    "left_out_spread": Form("spread of left-out scores", "", 3),
    "labels_near_zero": Form("pseudo-labels near zero", "", 3),
    "labels_near_one": Form("pseudo-labels near one", "", 3),
}
PAIR_NAMES = {name: form.name.removesuffix(" AUROC") for name, form in METRICS.items()}
PAIR = "Pairs are image and pixel AUROC."


def read_table(path: Path) -> pd.DataFrame:
    """Return the tidy table of a report's CSV file."""
    text = {"row": str, "column": str, "paper": str, "runs": str, "reason": str}
    return pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""])


def wide(tidy: pd.DataFrame, *, paper_only: bool = True) -> pd.DataFrame:
    """Return a tidy table in the paper's shape: a cell is ``measured [paper]``.

    Where a column shows two metrics they stand side by side. A missing figure is a dash.

    Args:
        tidy: the table.
        paper_only: whether columns of which nothing is run here are shown.
    """
    columns = {}
    for name, column in tidy.groupby("column", sort=False):
        if not paper_only and column["reason"].eq(NOT_RUN).all():
            continue
        columns[name] = pd.Series(
            {row: _cell(cell) for row, cell in column.groupby("row", sort=False)}
        )
    table = pd.DataFrame(columns).reindex(tidy["row"].unique()).fillna(MISSING)
    if AVERAGE in table.index:
        table.index = [row_name(str(row)) for row in table.index]
    return table


def row_name(row: str) -> str:
    """Return a category, which has the name of a folder, as a row's name."""
    spelled = row.replace("_", " ")
    return spelled[:1].upper() + spelled[1:]


def _cell(cell: pd.DataFrame) -> str:
    values = [_value(row) for row in cell.to_dict("records")]
    measured = "" if cell["reason"].eq(NOT_RUN).all() else ", ".join(values)
    papers = [_paper(row) for row in cell.to_dict("records")]
    if cell["paper"].notna().any():
        measured = f"{measured} [{', '.join(papers)}]".strip()
    return measured or MISSING


def _paper(record: dict[Any, Any]) -> str:
    if pd.isna(record["paper"]):
        return MISSING
    # A method that is not run here has nothing beside it to be compared.
    beside = record["reason"] != NOT_RUN and record["comparable"] is not True
    return f"{record['paper']}{OWN_DATA * beside}"


def _value(record: dict[Any, Any]) -> str:
    if pd.isna(record["measured"]):
        return MISSING
    spread = "" if pd.isna(record["std"]) else f" ± {record['std']:.2f}"
    return f"{record['measured']:.2f}{spread}"


def markdown(table: pd.DataFrame) -> str:
    """Return the table as Markdown."""
    return table.to_markdown(disable_numparse=True) + "\n"


def latex(table: pd.DataFrame, caption: str, label: str) -> str:
    """Return the table as LaTeX with booktabs rules."""
    styled = table.style.format(escape="latex").format_index(escape="latex")
    styled = styled.format_index(escape="latex", axis="columns")
    text: str = styled.to_latex(
        hrules=True,
        caption=caption.replace("%", r"\%").replace("&", r"\&").replace("_", r"\_"),
        label=label,
        column_format="l" + "c" * table.shape[1],
        position_float="centering",
    )
    written = {MISSING: "--", "±": r"$\pm$", OWN_DATA: r"$^\dagger$"}
    for sign, command in written.items():
        text = text.replace(sign, command)
    return text


def reasons(tidy: pd.DataFrame) -> list[str]:
    """Return why figures of ours are missing, each said once."""
    ours = tidy.loc[tidy["reason"] != NOT_RUN, "reason"].dropna()
    found = dict.fromkeys(reason for said in ours for reason in said.split("; "))
    missing = [reason for reason in found if reason.startswith(NOT_MEASURED)]
    return [
        *(reason for reason in found if reason not in missing),
        *missing[:1],
        *([f"and so are {len(missing) - 1} other runs"] if len(missing) > 1 else []),
    ]
