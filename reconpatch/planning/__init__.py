"""What a suite will take, before it runs: jobs, disk, memory, time."""

from reconpatch.planning.costs import measure
from reconpatch.planning.plan import expected_seconds, print_plan
from reconpatch.planning.space import peak_memory
from reconpatch.planning.workload import count_images, count_work

__all__ = [
    "count_images",
    "count_work",
    "expected_seconds",
    "measure",
    "peak_memory",
    "print_plan",
]
