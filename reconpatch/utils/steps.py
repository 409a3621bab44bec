"""Which modules compute a step's numbers.

With all that they import, they are the code whose edits make the step's results stale. How a step
finds its inputs and writes its record is left out on purpose: that changes no number.
"""

STEPS = {
    "demo": ("reconpatch.datasets.demo.writer",),
    "extract": ("reconpatch.features.arrays", "reconpatch.utils.devices"),
    "figure": ("reconpatch.reporting.draw",),
    "report": ("reconpatch.reporting.report",),
}
"""By the workflow's rules. What ``inspect`` reads with depends on the data set: ``reader_code``."""
