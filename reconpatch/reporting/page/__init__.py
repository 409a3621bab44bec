"""The report page: one self-contained file."""

from reconpatch.reporting.page.page import page

__all__ = ["page"]
