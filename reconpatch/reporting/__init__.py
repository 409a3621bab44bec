"""What people read: tables beside the paper's, and the report page."""

from reconpatch.reporting.formats import latex, markdown, wide
from reconpatch.reporting.report import print_table, write_report
from reconpatch.reporting.table5 import table5

__all__ = ["latex", "markdown", "print_table", "table5", "wide", "write_report"]
