"""The pages of this room as templates."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def pages() -> Environment:
    """Return what renders ``sheet.html`` and ``serve.html``; what is put in is escaped."""
    return Environment(
        loader=PackageLoader("reconpatch.estimation", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
