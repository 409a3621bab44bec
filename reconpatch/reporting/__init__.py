"""What people read: tables beside the paper's, figures, and the report page."""

from reconpatch.reporting.compare import compare, print_comparison
from reconpatch.reporting.draw import write_figure
from reconpatch.reporting.formats import latex, markdown, wide
from reconpatch.reporting.preview import write_preview
from reconpatch.reporting.report import write_report
from reconpatch.reporting.table import Results, table
from reconpatch.reporting.terminal import print_table, print_tables

__all__ = [
    "Results",
    "compare",
    "latex",
    "markdown",
    "print_comparison",
    "print_table",
    "print_tables",
    "table",
    "wide",
    "write_figure",
    "write_preview",
    "write_report",
]
