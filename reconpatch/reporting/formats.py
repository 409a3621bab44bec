"""Tidy tables as people paste them: Markdown and LaTeX."""

import pandas as pd

MISSING = "–"


def wide(tidy: pd.DataFrame) -> pd.DataFrame:
    """Return a tidy table in the paper's shape: a cell is ``(image, pixel)``, in percent.

    A column for which the paper prints figures is followed by those. A missing figure is a dash.
    """
    shown = {}
    for name, column in tidy.groupby("column", sort=False):
        shown[name] = _cells(column, "measured")
        if column["paper"].notna().any():
            shown[f"{name}, paper"] = _cells(column, "paper")
    table = pd.DataFrame(shown).reindex(tidy["row"].unique())
    table.index = [row.replace("_", " ").capitalize() for row in table.index]
    return table.rename_axis("Class")


def _cells(column: pd.DataFrame, value: str) -> "pd.Series[str]":
    by_metric = column.pivot(index="row", columns="metric", values=value)
    by_metric = by_metric.reindex(columns=["image_auroc", "pixel_auroc"]).astype(float)
    digits = "{:.2f}".format
    text = by_metric.map(lambda v: MISSING if pd.isna(v) else digits(v))
    return "(" + text["image_auroc"] + ", " + text["pixel_auroc"] + ")"


def markdown(table: pd.DataFrame) -> str:
    """Return the table as Markdown."""
    return table.to_markdown(disable_numparse=True) + "\n"


def latex(table: pd.DataFrame, caption: str, label: str) -> str:
    """Return the table as LaTeX with booktabs rules."""
    styled = table.rename_axis(None).style.format(escape="latex").format_index(escape="latex")
    styled = styled.format_index(escape="latex", axis="columns")
    text: str = styled.to_latex(
        hrules=True,
        caption=caption,
        label=label,
        column_format="l" + "c" * table.shape[1],
        position_float="centering",
    )
    return text.replace(MISSING, "--")
