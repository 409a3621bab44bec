"""Which modules compute a step's numbers.

With all that they import, they are the code whose edits make the step's results stale. How a step
finds its inputs and writes its record is left out on purpose: that changes no number. What fits a
method depends on the method: its own module, and its ``learner``'s.
"""

DEVICES = "reconpatch.utils.devices"
"""Sets up the process in which a step computes."""

EVALUATE = ("reconpatch.runs.evaluation", "reconpatch.detection.anomaly_map", DEVICES)

STEPS = {
    "demo": ("reconpatch.datasets.demo.writer",),
    "extract": ("reconpatch.features.arrays", DEVICES),
    "diagnose": ("reconpatch.runs.diagnosis", DEVICES),
    "evaluate": EVALUATE,
    "fuse": ("reconpatch.detection.ensemble", *EVALUATE),
    "train refinement": (
        "reconpatch.refinement.training",
        "reconpatch.refinement.scoring",
        "reconpatch.detection.ensemble",
        DEVICES,
    ),
    "refine": ("reconpatch.refinement.refine", "reconpatch.detection.ensemble", *EVALUATE),
    "time": ("reconpatch.runs.inference_time", DEVICES),
    "figure": ("reconpatch.reporting.draw",),
    "report": ("reconpatch.reporting.report",),
}
"""What ``inspect`` reads with depends on the data set: ``reader_code``."""
